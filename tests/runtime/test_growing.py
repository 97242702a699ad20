"""A session of a growing cache: the same calls, plainer memory, and honest refusals."""

import numpy as np
import pytest
from export.small import frames_of, graph_of, model_of, relative_error, whole

from edgeseq.errors import StreamError
from edgeseq.runtime import StreamModel, StreamSession


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    file = tmp_path_factory.mktemp("growing") / "model.onnx"
    file.write_bytes(graph_of("rotary", form="growing-cache").SerializeToString())
    return StreamModel.load(file)


@pytest.mark.parametrize("streams", [1, 3])
def test_steps_and_runs_are_the_whole(loaded, streams):
    model = model_of("rotary")
    frames = frames_of(model, streams, 90)
    fed = frames[0] if streams == 1 else frames
    with StreamSession(loaded, streams=streams) as session:
        steps = [session.step(np.ascontiguousarray(fed[..., t, :])) for t in range(10)]
        outputs = np.concatenate([np.stack(steps, axis=-2), session.run(fed[..., 10:, :])], axis=-2)
        assert session.state["past_key_values.1.value"].shape == (streams, 2, 90, 6)
        session.reset()
        assert session.state["past_key_values.0.key"].shape == (streams, 2, 0, 6)
        again = session.run(fed)
    expected = whole(model, frames)
    assert relative_error(outputs.reshape(expected.shape), expected) < 1e-5
    assert relative_error(again.reshape(expected.shape), expected) < 1e-5


def test_a_snapshot_goes_on_in_another_session(loaded):
    frames = frames_of(model_of("rotary"), 1, 30)[0]
    with StreamSession(loaded) as session, StreamSession(loaded) as other:
        session.run(frames[:12])
        saved = session.state
        expected = session.run(frames[12:])
        assert saved["past_key_values.0.key"].shape[2] == 12, "what was saved is a copy"
        other.state = saved
        np.testing.assert_array_equal(other.run(frames[12:]), expected)


def test_streams_of_one_cache_are_reset_together(loaded):
    with StreamSession(loaded, streams=3) as session:
        session.reset([2, 0, 1])
        with pytest.raises(StreamError, match="reset all of them, or give each a session"):
            session.reset(1)


def test_a_state_of_unequal_ages_is_refused_and_nothing_changes(loaded):
    with StreamSession(loaded) as session:
        session.run(frames_of(model_of("rotary"), 1, 4)[0])
        before = session.state
        bad = {**before, "past_key_values.1.key": np.zeros((1, 2, 3, 6), np.float32)}
        with pytest.raises(StreamError, match=r"has shape \(1, 2, 3, 6\); this session has \(1, 2"):
            session.state = bad
        assert session.state["past_key_values.1.key"].shape[2] == 4
