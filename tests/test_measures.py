"""The measures of features: against plain NumPy, against exams whose answer is known, and against guessing."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from scumble.engine.weights import conv_names, seeded
from scumble.errors import ScumbleError
from scumble.training import comparing, measures
from scumble.training.measures import Effort, Finding


@pytest.fixture(scope="module")
def weights():
    return seeded("vgg19-lite")


def noise(count, side, seed=0):
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


def stripes(count, side, seed, amount=0.1):
    """Pictures of `count` trivially different styles: each of its own colour and period, under a little noise."""
    generator = torch.Generator().manual_seed(7)
    colours = torch.rand(count, 3, 1, 1, generator=generator)
    periods = torch.linspace(3, 12, count)[:, None, None, None]
    wave = torch.sin(2 * math.pi * torch.arange(side) / periods).expand(count, 3, side, side)
    return (0.6 * colours + 0.2 + 0.2 * wave + amount * (noise(count, side, seed) - 0.5)).clamp(0, 1)


def share(findings, part):
    (found,) = [finding for finding in findings if finding.part == part]
    return found


def test_colour_distance_is_the_mean_difference_of_sorted_projections():
    one, other = noise(2, 24)
    other = other**2
    directions = torch.randn(64, 3, generator=torch.Generator().manual_seed(0)).numpy()
    total = 0.0
    for direction in directions:
        unit = direction / np.sqrt((direction**2).sum())
        first = sorted(unit @ one.numpy().reshape(3, -1))
        second = sorted(unit @ other.numpy().reshape(3, -1))
        total += np.mean([abs(a - b) for a, b in zip(first, second, strict=True)])
    assert comparing.colour_distance(one, other) == pytest.approx(total / 64, rel=1e-4)


def test_colour_distance_of_flat_colours_is_half_their_distance():
    one, other = torch.full((3, 16, 16), 0.2), torch.full((3, 16, 16), 0.7)
    # the mean of |cos| over the sphere is a half
    assert comparing.colour_distance(one, other) == pytest.approx(0.5 * math.sqrt(3) * 0.5, rel=0.1)


def test_colour_distance_does_not_see_places():
    picture = noise(1, 16)[0]
    shuffled = picture.flatten(1)[:, torch.randperm(256, generator=torch.Generator().manual_seed(1))].view_as(picture)
    assert comparing.colour_distance(picture, shuffled) < 1e-6


def test_spectrum_is_that_of_plain_numpy():
    picture = noise(1, 32)[0]
    found = comparing.spectrum(picture).numpy()
    window = np.outer(*[[0.5 - 0.5 * math.cos(2 * math.pi * i / 32) for i in range(32)]] * 2)
    for colour in range(3):
        values = picture[colour].numpy().astype(float)
        power = np.abs(np.fft.fft2((values - values.mean()) * window)) ** 2 / (window**2).sum()
        for wave in (1, 5, 15):
            ring = [
                power[y % 32, x % 32]
                for y in range(-16, 16)
                for x in range(-16, 16)
                if wave - 0.5 < math.hypot(x, y) < wave + 0.5
            ]
            assert found[colour, wave - 1] == pytest.approx(10 * math.log10(np.mean(ring) + 1 / 12 / 255**2), abs=1e-3)


def test_spectrum_of_white_noise_is_its_variance_and_of_a_wave_a_peak():
    assert comparing.spectrum(noise(1, 128)[0])[:, 8:].mean() == pytest.approx(10 * math.log10(1 / 12), abs=0.2)
    wave = (0.5 + 0.2 * torch.sin(2 * math.pi * 9 * torch.arange(64) / 64)).expand(3, 64, 64)
    assert comparing.spectrum(wave).argmax(1).tolist() == [8, 8, 8]


def test_spectral_distance_of_twice_the_contrast_is_six_decibels():
    picture = noise(1, 64)[0]
    assert comparing.spectral_distances(picture, 0.5 * picture) == pytest.approx((6.02, 6.02), abs=0.01)


def test_spectral_distances_tell_coarse_from_fine():
    picture = 0.5 * noise(1, 128)[0]
    wave = 0.2 * torch.sin(2 * math.pi * torch.arange(128) / 32)
    coarse, fine = comparing.spectral_distances(picture, picture + wave)
    assert coarse > 3 > 0.1 > fine


def test_distances_of_grams_are_those_of_the_whole_normalised_matrices(weights):
    pictures = stripes(2, 48, 1)
    trunk = measures.trunk_of(weights)
    found = comparing.grams(trunk, pictures)
    for layer in ("conv1_1", "conv3_1"):
        whole = []
        for picture in pictures:
            flat = comparing.maps_of(trunk, picture)[layer][0].flatten(1).numpy().astype(float)
            gram = flat @ flat.T
            whole.append(gram / np.sqrt((gram**2).sum()))
        expected = ((whole[0] - whole[1]) ** 2).sum()
        assert comparing.distances(found, found, {layer: 1.0})[0, 1] == pytest.approx(expected, rel=1e-3)


def test_trivially_different_styles_are_all_recognised(weights):
    queries = torch.stack([stripes(6, 48, 1), stripes(6, 48, 2)], 1).flatten(0, 1)
    found = measures.style_recognition(weights, stripes(6, 48, 0), queries, "")
    assert {finding.value for finding in found} == {1.0}
    assert {finding.blind for finding in found} == {1 / 6}


def test_queries_in_another_order_are_all_wrong(weights):
    references = stripes(6, 48, 0)
    found = measures.style_recognition(weights, references, stripes(6, 48, 1).roll(1, 0), "")
    assert {finding.value for finding in found} == {0.0}


def test_styles_that_are_all_the_same_are_recognised_by_chance(weights):
    found = measures.style_recognition(weights, noise(12, 32, 1), noise(24, 32, 2), "")
    assert share(found, "all five").value < 1 / 12 + 4 * math.sqrt(1 / 12 * 11 / 12 / 24)
    same = noise(1, 32).expand(10, -1, -1, -1)
    assert {finding.value for finding in measures.style_recognition(weights, same, same, "")} == {1 / 10}


def test_crops_of_one_painting_find_each_other(weights):
    crops = torch.stack([stripes(6, 48, 1), stripes(6, 48, 2)], 1).flatten(0, 1)
    of_painting = torch.arange(6).repeat_interleave(2)
    found = measures.same_painting(weights, crops, of_painting, torch.zeros(12), "")
    assert {finding.value for finding in found} == {1.0}
    assert share(found, "profile").blind == pytest.approx(1 / 11)
    kin = measures.same_painting(weights, crops, of_painting, of_painting // 3, "")
    assert share(kin, "profile").blind == pytest.approx(1 / 5)


def test_crops_of_the_other_style_are_no_candidates(weights):
    crops = torch.stack([stripes(4, 48, 1), stripes(4, 48, 2)]).flatten(0, 1)
    of_painting = torch.arange(8) // 2
    # each picture's double is in the other half: where that is barred, the pairs of one half are all that is left
    apart = measures.same_painting(weights, crops, of_painting, torch.arange(8) // 2, "")
    among_all = measures.same_painting(weights, crops, of_painting, torch.zeros(8), "")
    assert (share(apart, "profile").value, share(among_all, "profile").value) == (1.0, 0.0)


def test_the_same_content_is_found_in_place_and_not_when_moved(weights):
    pictures = noise(2, 64)
    still = measures.same_content(weights, pictures, pictures)
    assert [finding.value for finding in still] == [1.0, 1.0]
    moved = measures.same_content(weights, pictures, pictures.roll(32, 3))
    assert share(moved, "conv3_1").value < 0.1


def test_unrelated_content_is_found_by_chance(weights):
    found = measures.same_content(weights, noise(6, 64, 1), noise(6, 64, 2))
    for finding in found:
        assert finding.value == pytest.approx(finding.blind, abs=0.06)


def test_chance_of_being_near_counts_the_borders():
    pairs = [(a, b) for a in range(12) for b in range(12)]  # of positions in 3 × 4
    near = sum(abs(a // 4 - b // 4) <= 1 and abs(a % 4 - b % 4) <= 1 for a, b in pairs)
    assert measures.chance_near(3, 4, near=1) == pytest.approx(near / 144)


def test_pairs_show_one_content_in_two_styles():
    one, other = measures.pairs_of(3)
    assert one.shape == other.shape == (3, 3, 128, 128)
    assert not torch.equal(one, other)


def test_a_texture_comes_nearer_to_its_source_than_noise_does(weights):
    blobs = torch.nn.functional.interpolate(noise(2, 16), size=(64, 64), mode="bilinear")
    blobs = 0.1 + 0.8 * (blobs > 0.5).float()  # no noise has such colours
    found = measures.texture_distance(weights, blobs[:1], blobs[1:], (20,), as_painted=True)
    left, *distances = found
    assert left.value < 0.2
    for finding in distances:
        assert finding.value < 0.85 * finding.blind
        assert finding.best < finding.blind


def test_a_plain_network_is_he_normal_and_has_no_frame():
    plain = measures.network("plain-vgg19-lite")
    assert list(plain.filters) == list(conv_names("vgg19-lite"))
    assert [len(plain.filters[name]) for name in plain.filters] == [
        len(b) for b in seeded("vgg19-lite").biases.values()
    ]
    for name in ("conv2_1", "conv4_2", "conv5_1"):
        filters = plain.filters[name]
        assert filters.std() == pytest.approx(math.sqrt(2 / filters[0].numel()), rel=0.05)
    assert not torch.allclose(plain.filters["conv1_1"][:27], -plain.filters["conv1_1"][27:54])
    assert torch.equal(plain.filters["conv3_1"], measures.plain("vgg19-lite").filters["conv3_1"])
    assert not torch.equal(plain.filters["conv3_1"], measures.plain("vgg19-lite", 1).filters["conv3_1"])


def test_a_name_that_is_no_network_is_refused():
    with pytest.raises(ScumbleError, match="no features 'plain-nothing'"):
        measures.network("plain-nothing")


def test_descriptors_weigh_one_in_all(weights):
    for layers in measures.descriptors(weights).values():
        assert sum(layers.values()) == pytest.approx(1)


def test_a_finding_is_a_mean_with_its_standard_error():
    found = Finding.of(("m", "c", "p"), torch.tensor([0.0, 1.0, 1.0, 0.0]), 0.1)
    assert (found.value, found.error) == (0.5, pytest.approx(math.sqrt(1 / 3) / 2))


def test_a_run_prints_a_table_and_writes_json(monkeypatch, tmp_path, capsys):
    finding = Finding("style_recognition", "as they are", "conv1_1", 0.5, 0.01, 0.005, 1.0)
    distance = replace(finding, measure="texture_distance", unit="dB", value=3.25)
    monkeypatch.setattr(measures, "measure", lambda weights, effort: [finding, distance])
    measures.run(["plain-vgg19-lite", "seeded-vgg19-lite"], Effort(), tmp_path / "found.json")
    printed = capsys.readouterr().out
    assert "seeded-vgg1" in printed
    found = json.loads((tmp_path / "found.json").read_text())
    assert [network["network"] for network in found["networks"]] == ["plain-vgg19-lite", "seeded-vgg19-lite"]
    assert found["networks"][0]["findings"][1]["value"] == 3.25
    with pytest.raises(ScumbleError, match="cannot be written"):
        measures.run(["plain-vgg19-lite"], Effort(), tmp_path / "none" / "found.json")
