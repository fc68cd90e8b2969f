"""What a package can do, as far as its lessons go; `tito package check` runs it with nothing else."""

import tempfile

import tinytorch as tt

done = []


def can(*names: str) -> bool:
    """Whether all these names are built: tensor, nn.Linear, …"""
    for name in names:
        place = tt
        for part in name.split("."):
            if not hasattr(place, part): return False
            place = getattr(place, part)
    return True


if can("tensor"):
    x = tt.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert (x @ x).tolist() == [[7.0, 10.0], [15.0, 22.0]] and (x + 1).sum().item() == 14
    done.append("multiplies")

if can("nn.Linear", "optim.Adam", "autograd.grad"):
    tt.manual_seed(0)
    x, y = tt.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]]), tt.tensor([[0.0], [1], [1], [0]])
    net = tt.nn.Sequential(tt.nn.Linear(2, 8), tt.nn.Tanh(), tt.nn.Linear(8, 1))
    adam = tt.optim.Adam(net.parameters(), lr=0.05)
    for _ in range(300):
        loss = tt.nn.functional.mse_loss(net(x), y)
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert loss.item() < 0.05, f"XOR is not learned: the loss is {loss.item():.3f}"
    done.append("learns XOR")

if can("serve.Repository", "models.MLP"):
    ports = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}],
             "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 3]}]}
    with tempfile.TemporaryDirectory() as folder:
        model = tt.models.MLP(2, 3)
        tt.serve.keep(model, f"{folder}/small/1", {"model": "MLP", "arguments": [2, 3], **ports})
        repository = tt.serve.Repository(folder)
        repository.load("small")
        question = tt.ones(1, 2)
        with repository.lent("small") as lent:
            [answer] = lent.submit([question.numpy()], float("inf"), {}).result(20)
        assert abs(answer - model(question).detach().numpy()).max() < 1e-5
        repository.close()
    done.append("serves a model")

print(f"it {', '.join(done)}" if done else "there is nothing to try yet")
