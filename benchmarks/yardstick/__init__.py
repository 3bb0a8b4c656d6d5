"""What gated files are held against: the truth, an oracle, a peer's gates.

=============  ======================================================================
mindensity     the peer: a port of openCyto's density valleys
oracle         the best gates of a shape that knows every event's truth
product        tregflow as a user runs it: a sheet and a template to a results folder
scoring        one row per tube, and what rows say together
trials         simulated and diluted trials, by kind and size of drift
tissue         outlines placed on some donors for the cells of another
tables         columns of text
=============  ======================================================================
"""
