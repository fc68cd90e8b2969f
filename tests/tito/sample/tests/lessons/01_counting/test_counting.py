import tinytorch


def test_counting_goes_on_and_on():
    assert tinytorch.after(tinytorch.after(40)) == 42
