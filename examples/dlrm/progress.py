"""A progress bar on standard error, drawn only for people: nothing is written when it is no terminal."""
import sys
from time import perf_counter

WIDTH = 30
INTERVAL_SECONDS = 0.1
SMOOTHING = 0.05


class Progress:
    """Share done, rows a second since the start, loss averaged over the last steps."""

    def __init__(self, name, steps):
        self.name, self.steps = name, steps
        self.visible = sys.stderr.isatty()
        self.started = perf_counter()
        self.shown = 0.0
        self.loss = None

    def show(self, step, rows, loss):
        """Draws the bar as it stands after `step` steps, a few times a second."""
        self.loss = loss if self.loss is None else self.loss + SMOOTHING * (loss - self.loss)
        now = perf_counter()
        if not self.visible or (now - self.shown < INTERVAL_SECONDS and step < self.steps):
            return
        self.shown = now
        full = WIDTH * step // self.steps
        bar = "█" * full + "░" * (WIDTH - full)
        rate = rows / (now - self.started)
        sys.stderr.write(f"\r{self.name}  {bar} {step:>4}/{self.steps}  {rate:>9,.0f} rows/s  loss {self.loss:.4f} \x1b[K")
        sys.stderr.flush()

    def close(self):
        """Clears the line."""
        if self.visible:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
