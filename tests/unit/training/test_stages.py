"""A stage of training starts from the bare weights that an earlier one left."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: make train installs it")

from training.export import BARE_TARGET  # noqa: E402
from training.network import RoomNet, load_bare, save_bare  # noqa: E402
from training.train import DECAY_FLOOR, RATE, WARM_STEPS, rate_at  # noqa: E402


def test_bare_weights_come_back_in_half_precision(tmp_path: Path) -> None:
    torch.manual_seed(3)
    net, other = RoomNet(), RoomNet()
    save_bare(net, tmp_path / "bare.npz")
    load_bare(other, tmp_path / "bare.npz")
    for name, value in net.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], value, rtol=1e-3, atol=1e-4)


def test_the_weights_that_the_last_stage_starts_from_fit_the_network() -> None:
    net = RoomNet()
    load_bare(net, BARE_TARGET)
    out = net.eval()(torch.ones(1, 1, 96, 96))
    assert out.shape == (1, 6, 96, 96)
    assert torch.isfinite(out).all()


def test_the_rate_rises_stays_and_falls() -> None:
    last, decay = 1000, 200
    assert rate_at(0, last, decay) == pytest.approx(RATE / WARM_STEPS)
    assert rate_at(500, last, decay) == RATE
    assert rate_at(900, last, decay) == pytest.approx(RATE / 2)
    assert rate_at(last, last, decay) == pytest.approx(RATE * DECAY_FLOOR)
