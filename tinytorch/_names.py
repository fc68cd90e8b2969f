# Generated from modules/curriculum.toml by `tito export`. Edit that file, not this one.
"""What the package has, and what is to come."""

LATER = {                   # face -> lesson -> the names it brings
    "tinytorch": {
        "09 autograd": "no_grad enable_grad inference_mode set_grad_enabled is_grad_enabled",
        "11 training": "save load autocast",
        "18 compiler": "compile",
    },
    "tinytorch.amp": {
        "11 training": "autocast GradScaler",
    },
    "tinytorch.ao.quantization": {
        "12 compression": "quantize_dynamic",
    },
    "tinytorch.autograd": {
        "09 autograd": "grad backward Function gradcheck gradgradcheck detect_anomaly",
    },
    "tinytorch.backends": {
        "13 kernels": "kernels",
    },
    "tinytorch.cuda": {
        "13 kernels": "is_available device_count synchronize memory_allocated",
    },
    "tinytorch.distributed": {
        "19 distributed": (
            "init_process_group all_reduce broadcast barrier get_rank get_world_size "
        ),
    },
    "tinytorch.func": {
        "17 functional": "grad vjp jvp vmap jacrev jacfwd hessian functional_call",
    },
    "tinytorch.models": {
        "06 spatial": "LeNet5 resnet18 resnet34 resnet50 resnet20 vgg11 vgg16 mobilenet_v2",
        "07 attention": "GPT ViT",
    },
    "tinytorch.nn": {
        "04 layers": (
            "Parameter Module Sequential ModuleList ModuleDict ParameterList ReLU Sigmoid Tanh Softmax "
            "GELU "
        ),
        "05 dense": (
            "Linear Bilinear Identity Flatten Unflatten Dropout LayerNorm RMSNorm CrossEntropyLoss "
            "NLLLoss BCELoss BCEWithLogitsLoss MSELoss L1Loss SmoothL1Loss HuberLoss KLDivLoss "
        ),
        "06 spatial": (
            "Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d MaxPool1d MaxPool2d MaxPool3d "
            "AvgPool1d AvgPool2d AvgPool3d AdaptiveAvgPool2d AdaptiveMaxPool2d BatchNorm1d BatchNorm2d "
            "BatchNorm3d GroupNorm InstanceNorm2d Upsample PixelShuffle Unfold Fold "
        ),
        "07 attention": (
            "Embedding EmbeddingBag MultiheadAttention TransformerEncoderLayer TransformerDecoderLayer "
            "TransformerEncoder TransformerDecoder Transformer RNN LSTM GRU "
        ),
    },
    "tinytorch.nn.functional": {
        "05 dense": (
            "linear dropout layer_norm rms_norm cross_entropy nll_loss binary_cross_entropy "
            "binary_cross_entropy_with_logits mse_loss l1_loss smooth_l1_loss huber_loss kl_div "
        ),
        "06 spatial": (
            "conv1d conv2d conv3d conv_transpose2d max_pool2d avg_pool2d adaptive_avg_pool2d batch_norm "
            "group_norm instance_norm interpolate pixel_shuffle unfold fold pad "
        ),
        "07 attention": "embedding scaled_dot_product_attention multi_head_attention_forward",
    },
    "tinytorch.nn.init": {
        "04 layers": (
            "uniform_ normal_ constant_ ones_ zeros_ xavier_uniform_ xavier_normal_ kaiming_uniform_ "
            "kaiming_normal_ orthogonal_ trunc_normal_ "
        ),
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
    "tinytorch.optim": {
        "10 optimizers": (
            "Optimizer SGD Adam AdamW RMSprop Adagrad Adadelta Adamax NAdam RAdam ASGD Rprop LBFGS "
        ),
    },
    "tinytorch.optim.lr_scheduler": {
        "10 optimizers": (
            "LRScheduler LambdaLR StepLR MultiStepLR ExponentialLR CosineAnnealingLR OneCycleLR "
            "ReduceLROnPlateau SequentialLR "
        ),
    },
    "tinytorch.profiler": {
        "14 benchmarking": "profile record_function",
    },
    "tinytorch.serve": {
        "16 capstone": "Server Batcher generate",
    },
    "tinytorch.utils.checkpoint": {
        "09 autograd": "checkpoint",
    },
    "tinytorch.utils.data": {
        "08 dataloader": (
            "Dataset TensorDataset IterableDataset ConcatDataset Subset random_split DataLoader "
            "SequentialSampler RandomSampler WeightedRandomSampler BatchSampler "
        ),
    },
    "tinytorch.utils.dlpack": {
        "20 interop": "to_dlpack",
    },
}

CLOSED = {                  # face without any name yet -> the lesson that opens it
    "tinytorch.amp": "11 training",
    "tinytorch.ao": "12 compression",
    "tinytorch.ao.quantization": "12 compression",
    "tinytorch.autograd": "09 autograd",
    "tinytorch.backends": "13 kernels",
    "tinytorch.cuda": "13 kernels",
    "tinytorch.distributed": "19 distributed",
    "tinytorch.func": "17 functional",
    "tinytorch.models": "06 spatial",
    "tinytorch.nn.init": "04 layers",
    "tinytorch.nn.parallel": "19 distributed",
    "tinytorch.nn.utils": "12 compression",
    "tinytorch.nn.utils.prune": "12 compression",
    "tinytorch.onnx": "15 mlops",
    "tinytorch.optim": "10 optimizers",
    "tinytorch.optim.lr_scheduler": "10 optimizers",
    "tinytorch.profiler": "14 benchmarking",
    "tinytorch.serve": "16 capstone",
    "tinytorch.utils": "08 dataloader",
    "tinytorch.utils.checkpoint": "09 autograd",
    "tinytorch.utils.data": "08 dataloader",
    "tinytorch.utils.dlpack": "20 interop",
}

OPEN = ["tinytorch", "tinytorch.nn", "tinytorch.nn.functional", "tinytorch.random"]

BEING_WRITTEN = [
    "04 layers", "05 dense", "06 spatial", "07 attention", "08 dataloader", "09 autograd", "10 optimizers",
    "11 training", "12 compression", "13 kernels", "14 benchmarking", "15 mlops", "16 capstone",
    "17 functional", "18 compiler", "19 distributed", "20 interop",
]
