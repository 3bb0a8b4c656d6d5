"""What a template's words mean: values, or mistakes that are noted.

`read_words` holds a document against the grammar; `Meaning` turns the words into the values of
`hierarchy` and notes every name that leads nowhere and every figure that contradicts another. What
the grammar refused does not hide what comes after it: all mistakes are said at once.
"""

from tregflow.meaning.whole import Meaning
from tregflow.meaning.words import read_words

__all__ = ["Meaning", "read_words"]
