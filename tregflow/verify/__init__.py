"""Every file read again by other readers: stored values, names and spillover, one by one.

`limits` (what the other readers are known to do wrongly), `differences` (two readers of the same bytes),
`answers` (what each reader made of a file), `asking` (a file, then a batch, in order).

What is compared are stored values, before any scaling: every event of every channel, exactly, NaN being
equal to NaN; channel names and stains, without blanks around them; and the spillover matrix, split a second
time from the other reader's own TEXT. A difference stays one where it is known who is wrong: the known
limit is told beside it.

Nothing that another reader says is shown but numbers: where it misreads TEXT, its words may be anybody's.
"""

from tregflow.verify.answers import Answer, Verified, document, status
from tregflow.verify.asking import SECONDS, Asked, verify
from tregflow.verify.differences import Difference, compare

__all__ = ["SECONDS", "Answer", "Asked", "Difference", "Verified", "compare", "document", "status", "verify"]
