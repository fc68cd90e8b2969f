# Generated from modules/curriculum.toml by `tito export`. Edit that file, not this one.
"""What the package has, and what is to come."""

LATER = {                   # face -> lesson -> the names it brings
    "tinytorch": {
        "18 compiler": "compile",
    },
    "tinytorch.ao.quantization": {
        "12 compression": "quantize_dynamic",
    },
    "tinytorch.distributed": {
        "19 distributed": (
            "init_process_group all_reduce broadcast barrier get_rank get_world_size "
        ),
    },
    "tinytorch.func": {
        "17 functional": "grad vjp jvp vmap jacrev jacfwd hessian functional_call",
    },
    "tinytorch.nn.parallel": {
        "19 distributed": "DistributedDataParallel",
    },
    "tinytorch.nn.utils.prune": {
        "12 compression": "l1_unstructured global_unstructured ln_structured",
    },
    "tinytorch.onnx": {
        "15 mlops": "export",
    },
    "tinytorch.profiler": {
        "14 benchmarking": "profile record_function",
    },
    "tinytorch.serve": {
        "16 capstone": "Server Batcher generate",
    },
    "tinytorch.utils.dlpack": {
        "20 interop": "to_dlpack",
    },
}

CLOSED = {                  # face without any name yet -> the lesson that opens it
    "tinytorch.ao": "12 compression",
    "tinytorch.ao.quantization": "12 compression",
    "tinytorch.distributed": "19 distributed",
    "tinytorch.func": "17 functional",
    "tinytorch.nn.parallel": "19 distributed",
    "tinytorch.nn.utils.prune": "12 compression",
    "tinytorch.onnx": "15 mlops",
    "tinytorch.profiler": "14 benchmarking",
    "tinytorch.serve": "16 capstone",
    "tinytorch.utils.dlpack": "20 interop",
}

LATE = {                    # face -> the names whose module waits until one of them is asked for
    "tinytorch": {
        "timed": ("tinytorch.setup", "timed"),
        "Timing": ("tinytorch.setup", "Timing"),
        "peak_memory": ("tinytorch.setup", "peak_memory"),
        "matmul_flops": ("tinytorch.setup", "matmul_flops"),
        "gemm_ceiling": ("tinytorch.setup", "gemm_ceiling"),
        "bandwidth_ceiling": ("tinytorch.setup", "bandwidth_ceiling"),
        "show_versions": ("tinytorch.version", "show_versions"),
        "is_anomaly_enabled": ("tinytorch.anomaly", "is_anomaly_enabled"),
        "is_anomaly_check_nan_enabled": ("tinytorch.anomaly", "is_anomaly_check_nan_enabled"),
        "save": ("tinytorch.training", "save"),
        "load": ("tinytorch.training", "load"),
        "autocast": ("tinytorch.precision", "autocast"),
        "is_autocast_enabled": ("tinytorch.precision", "is_autocast_enabled"),
        "get_autocast_dtype": ("tinytorch.precision", "get_autocast_dtype"),
    },
    "tinytorch.amp": {
        "autocast": ("tinytorch.precision", "autocast"),
        "is_autocast_available": ("tinytorch.precision", "is_autocast_available"),
        "GradScaler": ("tinytorch.precision", "GradScaler"),
    },
    "tinytorch.autograd": {
        "detect_anomaly": ("tinytorch.anomaly", "detect_anomaly"),
        "set_detect_anomaly": ("tinytorch.anomaly", "set_detect_anomaly"),
        "gradcheck": ("tinytorch.checking", "gradcheck"),
        "gradgradcheck": ("tinytorch.checking", "gradgradcheck"),
        "draw": ("tinytorch.drawing", "draw"),
    },
    "tinytorch.backends": {
        "Pool": ("tinytorch.pool", "Pool"),
    },
    "tinytorch.metrics": {
        "Mean": ("tinytorch.training", "Mean"),
        "Accuracy": ("tinytorch.training", "Accuracy"),
    },
    "tinytorch.utils.checkpoint": {
        "CheckpointError": ("tinytorch.checkpoint", "CheckpointError"),
        "CheckpointFunction": ("tinytorch.checkpoint", "CheckpointFunction"),
        "check_backward_validity": ("tinytorch.checkpoint", "check_backward_validity"),
        "checkpoint": ("tinytorch.checkpoint", "checkpoint"),
        "checkpoint_sequential": ("tinytorch.checkpoint", "checkpoint_sequential"),
        "noop_context_fn": ("tinytorch.checkpoint", "noop_context_fn"),
    },
}

OPEN = [
    "tinytorch", "tinytorch.amp", "tinytorch.autograd", "tinytorch.autograd.function",
    "tinytorch.autograd.graph", "tinytorch.backends", "tinytorch.backends.cpu", "tinytorch.cuda",
    "tinytorch.datasets", "tinytorch.metrics", "tinytorch.models", "tinytorch.nn", "tinytorch.nn.functional",
    "tinytorch.nn.init", "tinytorch.nn.modules", "tinytorch.nn.modules.lazy", "tinytorch.nn.modules.module",
    "tinytorch.nn.parameter", "tinytorch.nn.utils", "tinytorch.nn.utils.parametrizations",
    "tinytorch.nn.utils.parametrize", "tinytorch.nn.utils.rnn", "tinytorch.optim",
    "tinytorch.optim.lr_scheduler", "tinytorch.optim.optimizer", "tinytorch.optim.swa_utils",
    "tinytorch.random", "tinytorch.tokenizers", "tinytorch.transforms", "tinytorch.utils",
    "tinytorch.utils.checkpoint", "tinytorch.utils.data", "tinytorch.utils.data.distributed",
    "tinytorch.utils.hooks", "tinytorch.utils.tensorboard",
]

BEING_WRITTEN = [
    "12 compression", "14 benchmarking", "15 mlops", "16 capstone", "17 functional", "18 compiler",
    "19 distributed", "20 interop",
]
