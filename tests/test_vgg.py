"""The networks: maps and gradients against plain torch and torchvision, geometry, normalisation, the colour frame."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as nnf
from helpers import biased, channels_last, narrow, noise, positive, reference_maps, relative, smooth
from torchvision.models.vgg import cfgs, make_layers

from scumble.engine.frame import Frame, frame_filters
from scumble.engine.vgg import (
    Convolution,
    Trunk,
    calibration_pictures,
    canonical,
    layer_order,
    normalized,
    preprocess,
)
from scumble.engine.weights import CAFFE, TORCHVISION, conv_names, seeded
from scumble.recipe import Padding, Pooling

CPU = torch.device("cpu")
MODES = {Padding.ZEROS: "zeros", Padding.REPLICATE: "replicate", Padding.REFLECT: "reflect"}


def pull(network, x, cotangents):
    """The gradient of Σ <map, cotangent> with respect to the input."""
    maps = network.forward(x)

    def add(tap, maps, g):
        own = channels_last(cotangents[tap].to(maps[tap].dtype))
        return own.clone() if g is None else g.add_(own)

    return network.backward(maps, add)


def cotangents_for(network, x):
    return {
        tap: torch.randn(network.forward(x)[tap].shape, generator=torch.Generator().manual_seed(index))
        for index, tap in enumerate(network.taps)
    }


def reference_pull(weights, x, cotangents, padding, pooling):
    x = x.double().requires_grad_()
    deepest = max(cotangents, key=lambda tap: layer_order(weights.architecture).index(tap.replace("preact", "conv")))
    maps = reference_maps(weights, x, deepest.replace("preact", "conv"), MODES[padding], pooling.value)
    loss = sum((maps[tap] * cotangent.double()).sum() for tap, cotangent in cotangents.items())
    (slope,) = torch.autograd.grad(loss, x)
    return slope


def torchvision_maps(weights, letter):
    """torchvision's own network with the same filters; yields the name and module of each of its layers."""
    features = make_layers(cfgs[letter]).double()
    for name, conv in zip(conv_names(weights.architecture), [m for m in features if hasattr(m, "bias")], strict=True):
        conv.load_state_dict({"weight": weights.filters[name].double(), "bias": weights.biases[name].double()})
    for module in features:
        module.inplace = False
    return features


@pytest.mark.parametrize(("letter", "make"), [("A", biased), ("D", lambda: seeded("vgg16"))], ids=["vgg11", "vgg16"])
def test_maps_and_gradient_are_torchvisions(letter, make):
    weights = make()
    taps = ("conv1_1", "conv3_1", "pool3", "conv5_1", "conv5_2")
    trunk = Trunk(weights, taps, pooling=Pooling.MAX, padding=Padding.ZEROS)
    x = smooth(32, 48) - 0.4
    cotangents = cotangents_for(trunk, x)

    leaf = x.double().requires_grad_()
    names = [
        part for name in layer_order(weights.architecture) for part in ((name, name) if "conv" in name else (name,))
    ]
    maps, h = {}, leaf
    for name, module in zip(names, torchvision_maps(weights, letter), strict=True):
        h = maps[name] = module(h)  # of a convolution and its ReLU, the latter stays
    loss = sum((maps[tap] * cotangent.double()).sum() for tap, cotangent in cotangents.items())
    (slope,) = torch.autograd.grad(loss, leaf)

    found = trunk.forward(x)
    for tap in taps:
        assert relative(found[tap], maps[tap].detach()) < 1e-5, tap
    assert relative(pull(trunk, x, cotangents), slope) < 1e-5


@pytest.mark.parametrize("pooling", Pooling)
@pytest.mark.parametrize("padding", Padding)
def test_maps_and_gradient_are_autograds(padding, pooling):
    weights = narrow("vgg16")
    taps = ("conv1_1", "preact2_2", "conv2_2", "pool2", "preact3_1", "conv3_3", "pool4", "conv5_1")
    trunk = Trunk(weights, taps, padding=padding, pooling=pooling)
    x = smooth(48, 80, seed=3) - 0.4  # odd multiples of the grid
    cotangents = cotangents_for(trunk, x)
    wanted = reference_maps(weights, x.double(), "conv5_1", MODES[padding], pooling.value)
    found = trunk.forward(x)
    for tap in taps:
        assert relative(found[tap], wanted[tap]) < 1e-5, tap
    assert relative(pull(trunk, x, cotangents), reference_pull(weights, x, cotangents, padding, pooling)) < 1e-5


@pytest.mark.parametrize("tap", ["conv1_1", "conv3_2", "pool3", "preact1_1", "preact3_2"])
def test_gradient_of_a_single_layer(tap):
    weights = narrow("vgg13")
    trunk = Trunk(weights, [tap])
    x = smooth(16, 32) - 0.4
    cotangents = cotangents_for(trunk, x)
    wanted = reference_pull(weights, x, cotangents, Padding.REPLICATE, Pooling.AVERAGE)
    assert relative(pull(trunk, x, cotangents), wanted) < 1e-5


@pytest.mark.parametrize("padding", Padding)
def test_gradient_where_the_deepest_map_is_a_single_position(padding):
    weights = narrow("vgg11")
    trunk = Trunk(weights, ["conv4_1", "conv5_2"], padding=padding)
    x = smooth(16, 16) - 0.4
    cotangents = cotangents_for(trunk, x)
    found = pull(trunk, x, cotangents)
    assert found.shape == x.shape
    if padding is not Padding.REFLECT:  # of one position nothing can be reflected, so torch refuses
        assert relative(found, reference_pull(weights, x, cotangents, padding, Pooling.AVERAGE)) < 1e-5


def test_a_tap_that_no_loss_reads_has_no_say():
    trunk = Trunk(narrow("vgg11"), ["conv2_1", "conv3_1"])
    x = smooth(16, 16) - 0.4
    maps = trunk.forward(x)
    one = channels_last(torch.ones_like(maps["conv2_1"]))
    found = trunk.backward(maps, lambda tap, maps, g: one.clone() if tap == "conv2_1" else g)
    alone = Trunk(narrow("vgg11"), ["conv2_1"])
    assert relative(found, pull(alone, x, {"conv2_1": one})) < 1e-6


def test_no_gradient_anywhere_is_zero():
    trunk = Trunk(narrow("vgg11"), ["conv2_1"])
    maps = trunk.forward(smooth(16, 32))
    found = trunk.backward(maps, lambda tap, maps, g: g)
    assert found.shape == (1, 3, 16, 32)
    assert not found.any()


def test_the_gradient_leaves_the_maps_as_they_are():
    trunk = Trunk(narrow("vgg11"), ["preact2_1", "conv3_1"])
    x = smooth(16, 16) - 0.4
    maps = trunk.forward(x)
    before = {name: features.clone() for name, features in maps.items()}
    trunk.backward(maps, lambda tap, maps, g: torch.ones_like(maps[tap]) if g is None else g.add_(1))
    assert all(torch.equal(maps[name], before[name]) for name in maps)


def test_float64_is_computed_as_such():
    weights = narrow("vgg11")
    x = smooth(16, 16).double() - 0.4
    found = Trunk(weights, ["conv3_1"], dtype=torch.float64).forward(x)["conv3_1"]
    assert relative(found, reference_maps(weights, x, "conv3_1", "replicate", "average")["conv3_1"]) < 1e-12


def test_bfloat16_is_near_float32():
    weights = normalized(seeded("vgg11"), Pooling.AVERAGE)
    taps = ("conv1_1", "conv3_1", "conv5_1")
    x = smooth(48, 48)
    wide, narrow_ = (Trunk(weights, taps, dtype=dtype) for dtype in (torch.float32, torch.bfloat16))
    seen = wide.prepare(x)
    wanted, found = wide.forward(seen), narrow_.forward(seen)
    for tap in taps:
        assert found[tap].dtype == torch.bfloat16
        assert float((found[tap] - wanted[tap]).norm() / wanted[tap].norm()) < 0.02, tap


def test_the_gradient_in_bfloat16_points_the_same_way():
    weights = normalized(seeded("vgg11"), Pooling.AVERAGE)
    x = smooth(48, 48)
    wide, narrow_ = (Trunk(weights, ["conv4_1"], dtype=dtype) for dtype in (torch.float32, torch.bfloat16))
    cotangents = cotangents_for(wide, wide.prepare(x))
    wanted, found = (pull(trunk, trunk.prepare(x), cotangents) for trunk in (wide, narrow_))
    assert found.dtype == torch.float32
    # one ReLU in a hundred falls the other way, which alone is a tenth of the gradient of a white cotangent
    assert float((found * wanted).sum() / (found.norm() * wanted.norm())) > 0.985


def test_maps_are_channels_last_in_memory():
    trunk = Trunk(narrow("vgg11"), ["conv1_1", "preact2_1", "pool2", "conv3_1"])
    for name, features in trunk.forward(smooth(16, 32)).items():
        assert features.is_contiguous(memory_format=torch.channels_last), name


# ------------------------------------------------------------------------------------------------- names and geometry


def test_layer_order_of_vgg19_is_simonyan_and_zissermans():
    blocks = {1: 2, 2: 2, 3: 4, 4: 4, 5: 4}
    wanted = [name for b, n in blocks.items() for name in (*(f"conv{b}_{i + 1}" for i in range(n)), f"pool{b}")]
    assert list(layer_order("vgg19")) == wanted


@pytest.mark.parametrize(("architecture", "convolutions"), [("vgg11", 8), ("vgg13", 10), ("vgg16", 13), ("vgg19", 16)])
def test_layer_order_has_every_convolution_and_five_pools(architecture, convolutions):
    order = layer_order(architecture)
    assert sum(name.startswith("conv") for name in order) == convolutions
    assert [name for name in order if name.startswith("pool")] == [f"pool{block}" for block in range(1, 6)]


def test_relu_and_conv_are_two_names_of_the_same_map():
    assert [canonical(name) for name in ("relu4_2", "conv4_2", "preact4_2", "pool4")] == [
        "conv4_2",
        "conv4_2",
        "preact4_2",
        "pool4",
    ]


def test_taps_are_known_once_and_in_order_of_depth():
    assert Trunk(narrow("vgg11"), ["conv3_1", "relu1_1", "conv1_1", "pool1"]).taps == ("conv1_1", "pool1", "conv3_1")


def test_nothing_beyond_the_last_tap_is_built():
    trunk = Trunk(narrow("vgg19"), ["conv2_1", "conv1_1"])
    assert set(trunk.channels) == {"conv1_1", "conv1_2", "conv2_1"}
    assert set(trunk.forward(smooth(16, 16))) == {"conv1_1", "conv1_2", "conv2_1"}


def test_receptive_fields_of_vgg19_are_the_known_ones():
    trunk = Trunk(positive("vgg19"), ["conv5_1"])
    fields = {tap: 2 * trunk.radius[tap] for tap in ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")}
    assert fields == {"conv1_1": 3, "conv2_1": 10, "conv3_1": 24, "conv4_1": 68, "conv5_1": 156}


@pytest.mark.parametrize("pixel", [80, 87, 95])
def test_a_pixel_reaches_the_positions_whose_field_covers_it(pixel):
    trunk = Trunk(positive("vgg16"), ["conv1_1", "pool2", "conv3_2", "pool4", "conv5_2"], dtype=torch.float64)
    x = torch.zeros(1, 3, 16, 176)
    x[..., pixel] = 1  # a column, so that a strip is enough
    maps = trunk.forward(x)
    for tap in trunk.taps:
        stride, radius = trunk.stride[tap], trunk.radius[tap]
        reached = (maps[tap] > 0)[0].any(0).any(0)
        assert len(reached) * stride == 176
        centres = [stride * (position + 0.5) for position in range(len(reached))]
        assert reached.tolist() == [abs(pixel + 0.5 - centre) < radius for centre in centres], tap


def test_a_tapped_preactivation_has_its_convolutions_geometry():
    trunk = Trunk(narrow("vgg11"), ["preact3_1"])
    assert (trunk.stride["preact3_1"], trunk.radius["preact3_1"]) == (trunk.stride["conv3_1"], trunk.radius["conv3_1"])


# ------------------------------------------------------------------------------------------------------ preprocessing


def test_torchvisions_preprocessing():
    x = noise(1, 3, 4, 4)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    assert relative(preprocess(x, TORCHVISION), (x - mean) / std) < 1e-6


def test_caffes_preprocessing_is_bgr_less_its_means():
    pixel = torch.tensor([1.0, 0.5, 0.25]).view(1, 3, 1, 1)
    wanted = torch.tensor([0.25 * 255 - 103.939, 0.5 * 255 - 116.779, 255 - 123.68]).view(1, 3, 1, 1)
    assert relative(preprocess(pixel, CAFFE), wanted) < 1e-6


def test_preprocessing_is_differentiable():
    x = noise(1, 3, 4, 4).requires_grad_()
    preprocess(x, CAFFE)[:, 0].sum().backward()
    assert x.grad[:, 2].eq(255).all()  # blue is seen first
    assert not x.grad[:, :2].any()


# ------------------------------------------------------------------------------------------------------ normalisation


def maps_of(weights, picture, pooling=Pooling.AVERAGE):
    trunk = Trunk(weights, conv_names(weights.architecture)[-1:], pooling=pooling)
    return {
        name: torch.cat([trunk.forward(trunk.prepare(one[None]))[name] for one in picture]) for name in trunk.channels
    }


@pytest.mark.parametrize("pooling", Pooling)
def test_normalisation_only_rescales_every_channel(pooling):
    weights = biased("vgg11")
    x = smooth(48, 32, seed=5)
    own, rescaled = maps_of(weights, x, pooling), maps_of(normalized(weights, pooling), x, pooling)
    for name in own:
        scale = rescaled[name].sum((0, 2, 3)) / own[name].sum((0, 2, 3)).clamp(min=1e-20)
        assert (scale >= 0).all()
        assert relative(rescaled[name], own[name] * scale[:, None, None]) < 1e-4, name


@pytest.mark.parametrize("pooling", Pooling)
def test_normalised_filters_fire_one_on_average(pooling):
    weights = biased("vgg11")
    pictures = calibration_pictures()
    own, found = (maps_of(w, pictures, pooling) for w in (weights, normalized(weights, pooling)))
    for name in own:
        before, after = own[name].mean((0, 2, 3)), found[name].mean((0, 2, 3))
        rare = before < 0.2 * before.mean()
        assert relative(after[~rare], torch.ones(int((~rare).sum()))) < 1e-4, name
        assert (after[rare] <= 1).all(), name
        assert int(rare.sum()) < len(rare) / 2


def test_a_filter_that_never_fires_stays_silent_and_finite():
    weights = narrow("vgg11")
    dead = {**weights.biases, "conv2_1": weights.biases["conv2_1"] - 1000}
    found = maps_of(normalized(replace(weights, biases=dead), Pooling.AVERAGE), smooth(32, 32))
    assert all(features.isfinite().all() for features in found.values())


def test_normalised_weights_are_another_network():
    weights = narrow("vgg11")
    digests = {weights.digest, *(normalized(weights, pooling).digest for pooling in Pooling)}
    assert len(digests) == 3


def test_calibration_pictures_are_always_the_same_and_in_range():
    first, second = calibration_pictures(32), calibration_pictures(32)
    assert torch.equal(first, second)
    assert 0 <= float(first.min()) < float(first.max()) <= 1


# ------------------------------------------------------------------------------------------------------- convolution


@pytest.mark.parametrize("size", [(5, 7), (2, 2), (1, 6), (6, 1), (1, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("padding", Padding)
def test_backward_is_the_adjoint_of_the_convolution(padding, dtype, size):
    filters = noise(4, 3, 3, 3, seed=1) - 0.5
    convolution = Convolution.of(filters, torch.zeros(4), padding, CPU, dtype)
    x, y = noise(1, 3, *size, seed=2).to(dtype) - 0.5, noise(1, 4, *size, seed=3).to(dtype) - 0.5
    forward = convolution.forward(channels_last(x), rectify=False)
    backward = convolution.backward(channels_last(y))
    assert backward.shape == x.shape
    products = [float((a.double() * b.double()).sum()) for a, b in ((forward, y), (x, backward))]
    assert products[0] == pytest.approx(products[1], rel=1e-4, abs=1e-6)


# -------------------------------------------------------------------------------------------------------- colour frame


def test_frame_filters_are_an_orthonormal_basis_with_both_signs():
    filters = frame_filters().double().reshape(54, 27)
    assert relative(filters[:27] @ filters[:27].T, torch.eye(27)) < 1e-6
    assert torch.equal(filters[27:], -filters[:27])


def test_the_frame_keeps_everything():
    filters = frame_filters().double().reshape(54, 27)
    patch = noise(27, dtype=torch.float64) - 0.5
    maps = (filters @ patch).relu()
    assert relative((maps[:27] - maps[27:]) @ filters[:27], patch) < 1e-6


def frame_reference(x, scale):
    shrunk = nnf.avg_pool2d(x, scale) if scale > 1 else x
    return nnf.conv2d(nnf.pad(shrunk, (1, 1, 1, 1), mode="replicate"), frame_filters().to(x.dtype)).relu()


def test_frame_maps_and_gradient_are_autograds():
    frame = Frame((1, 2, 4))
    x = smooth(16, 24) * 2 - 1
    cotangents = cotangents_for(frame, x)
    leaf = x.double().requires_grad_()
    wanted = {f"frame{scale}": frame_reference(leaf, scale) for scale in frame.scales}
    found = frame.forward(x)
    for tap in frame.taps:
        assert relative(found[tap], wanted[tap].detach()) < 1e-5, tap
    (slope,) = torch.autograd.grad(sum((wanted[tap] * cotangents[tap]).sum() for tap in frame.taps), leaf)
    assert relative(pull(frame, x, cotangents), slope) < 1e-5


def test_a_frame_without_losses_has_no_gradient():
    frame = Frame((2, 4))
    found = frame.backward(frame.forward(smooth(16, 24)), lambda tap, maps, g: g)
    assert found.shape == (1, 3, 16, 24)
    assert not found.any()


def test_frame_strides_and_radii():
    frame = Frame((1, 2, 4))
    assert frame.stride == {"frame1": 1, "frame2": 2, "frame4": 4}
    assert frame.radius == {"frame1": 1.5, "frame2": 3, "frame4": 6}
