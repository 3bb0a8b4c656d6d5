"""What a percent owes to its gates: draws of the file, and gates shifted by stated steps.

`shelf` computes a gated file's columns once, `shifts` moves gates and recounts, `stability` places every
gate again on draws of the file.
"""

from tregflow.uncertainty.shifts import Scenario
from tregflow.uncertainty.stability import Stability, Uncertainty, uncertainty

__all__ = ["Scenario", "Stability", "Uncertainty", "uncertainty"]
