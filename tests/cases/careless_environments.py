"""Legal but careless environments, as researchers write them.

Each must train, resume and evaluate like its well-kept twin. Walk is the well-kept one. Buffer returns one array that
the next step refills; InPlace changes the action array it is handed; Closes raises in close(); Quits leaves the process
by sys.exit(); Prints writes to standard output; Clipped has unbounded actions because of a wrapper although the
environment below is bounded; Below observes a discrete value under its space's start; Empty observes nothing.

    PYTHONPATH=tests/cases dapo train --algo sac --env careless_environments:Buffer-v0 --steps 200 \
        --set learning_starts=50 --set batch_size=16 --set hidden_sizes=[8] --compile off --eval-episodes 1

Right values: Walk, Buffer and InPlace give the same episodes to the last bit (off-policy and on-policy, interrupted and
resumed or not); Closes ends `completed` (with a remark), also in --seeds, sweep, evaluate and export-policy; Quits ends
`failed` with exit code 1 and a reason, and the other seeds of a group go on; with Prints `--json` stays JSON;
Clipped trains within the bounds of the environment below, or the one-line refusal names something that works.
Counts is a discrete environment with one buffer, and Counts and Recounts, which makes a new array, are the same.
"""

import sys

import gymnasium as gym
import numpy as np


class Walk(gym.Env):
    observation_space = gym.spaces.Box(-9, 9, (2,))
    action_space = gym.spaces.Box(-1, 1, (1,))
    same_buffer = scales_in_place = False

    def _observe(self):
        return self.state if self.same_buffer else self.state.copy()

    def reset(self, *, seed=None, options=None):  # noqa: ARG002
        super().reset(seed=seed)
        self.state = np.array([self.np_random.uniform(-1, 1), 0], np.float32)
        return self._observe(), {}

    def step(self, action):
        if self.scales_in_place:
            action *= 0.5
        else:
            action = action * np.float32(0.5)
        self.state += [action[0], 0.05]
        return self._observe(), -abs(float(self.state[0])), False, bool(self.state[1] > 0.99), {}


class Buffer(Walk):
    same_buffer = True


class InPlace(Walk):
    scales_in_place = True


class Closes(Walk):
    def close(self):
        raise AttributeError("no viewer")


class Quits(Walk):
    def step(self, action):
        if self.state[1] > 0.5:
            sys.exit()
        return super().step(action)


class Prints(Walk):
    def step(self, action):
        print("a step")  # noqa: T201
        return super().step(action)


class Below(Walk):
    observation_space = gym.spaces.Discrete(5, start=2)

    def _observe(self):
        return 1


class Empty(Walk):
    observation_space = gym.spaces.Box(-1, 1, (0,))

    def _observe(self):
        return np.zeros(0, np.float32)


class Recounts(Walk):
    observation_space = gym.spaces.Discrete(30)
    action_space = gym.spaces.Discrete(2)

    def _observe(self):
        return np.array([int(self.state[1] * 25)])

    def step(self, action):
        return super().step(np.array([2 * action - 1], np.float32))


class Counts(Recounts):
    buffer = np.zeros(1, np.int64)

    def _observe(self):
        self.buffer[:] = super()._observe()
        return self.buffer


for kind in (Walk, Buffer, InPlace, Closes, Quits, Prints, Below, Empty, Counts, Recounts):
    gym.register(f"{kind.__name__}-v0", entry_point=kind)
gym.register("Clipped-v0", entry_point=lambda: gym.wrappers.ClipAction(Walk()))
