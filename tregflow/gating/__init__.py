"""Template x sample: the walk down the hierarchy, each gate inside its parent.

A population's members are an index array into the file. A child looks only at its parent's
members, so it cannot leave them and costs what they cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from tregflow.errors import Finding
from tregflow.events import said_of_events
from tregflow.gating.bridging import bridged
from tregflow.gating.placing import NONE, Fitted, Others, Placed, Shapes, Status, Walk
from tregflow.gating.walking import walked
from tregflow.sample import Rows
from tregflow.template import ROOT, Template
from tregflow.view import Bound

__all__ = ["Gated", "Placed", "Status", "gate", "walked"]


@dataclass(frozen=True, eq=False)
class Gated:
    """A file, gated.

    Parameters
    ----------
    bound : Bound
        The file under the template's marker names.
    template : Template
        What it was gated with; stored coordinates as the run's reference tube carried them.
    placed : mapping of str to Placed
        Every gate, in the template's order.
    members : mapping of str to ndarray of int
        Event numbers of every population and of the root; a refused population has none.
    findings : tuple of Finding
        What reading, binding and gating had to say.
    fitted : mapping of str to Fitted or str
        Models as they were fitted, or why one could not be.
    others : Others
        What its gates could look at besides.
    """

    bound: Bound
    template: Template
    placed: Mapping[str, Placed]
    members: Mapping[str, Rows]
    findings: tuple[Finding, ...]
    fitted: Mapping[str, Fitted | str] = field(default_factory=dict)
    others: Others = field(default_factory=Others)


NO_GATED: Mapping[str, Gated] = MappingProxyType({})
NO_BOUND: Mapping[str, Bound] = MappingProxyType({})
NO_WORDS: Mapping[str, str] = MappingProxyType({})


def gate(
    sample: Bound,
    template: Template,
    *,
    references: Mapping[str, Gated] = NO_GATED,
    absent: Mapping[str, str] = NO_WORDS,
    companions: Mapping[str, Bound] = NO_BOUND,
    corrections: Shapes = NONE,
) -> Gated:
    """Gate one file with one template.

    Parameters
    ----------
    sample : Bound
        What `Template.bind` returned for the file.
    template : Template
        The stored hierarchy.
    references : mapping of str to Gated, optional
        Control tubes of the same run, gated, by tube name: ``fmo:FOXP3``, ``reference``.
    absent : mapping of str to str, optional
        Why a control tube cannot be used, by tube name.
    companions : mapping of str to Bound, optional
        Tubes of the subject, or of the run, whose events are pooled where a gate asks for it, by sample.
    corrections : mapping of str to Shape, optional
        Shapes that a reviewer drew, by population.

    Returns
    -------
    Gated

    Examples
    --------
    >>> gated = gate(template.bind(sample), template)  # doctest: +SKIP
    >>> len(gated.members["Treg"])  # doctest: +SKIP
    1763
    """
    controls = {name: Walk(one.bound, dict(one.members)) for name, one in references.items()}
    carried, said = bridged(template, controls)
    peers = {name: Walk(bound, {ROOT: bound.finite()}) for name, bound in companions.items()}
    others = Others(controls, absent, peers, corrections)
    walk = walked(Walk(sample, {ROOT: sample.finite()}), carried, others)
    said = (*sample.sample.findings, *sample.findings, *said, *said_of_events(sample, walk.members[ROOT]))
    return Gated(sample, carried, walk.placed, walk.members, said, walk.fitted, others)
