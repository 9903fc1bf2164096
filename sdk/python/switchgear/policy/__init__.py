"""The pure policy kernel: no clock, no chance, no I/O, no framework.

What policy is, from the ground up:

    vocabulary    the words                 facts         a call, as its caller tells it
    selectors     which calls               errors        what is wrong, and where
    parameters    what can be told, once    rule shaping limiting rules   the kinds
    canonical     JSON with one spelling    values reading   documents to rules and back
    snapshot      a numbered version

What follows from it:

    precedence    which rules decide        explain       and why
    overlap tightness cycles review         what is probably not, or cannot be meant
    wording changes                         a draft in sentences

What happens to a call: read `decide` first; `matching` finds what applies, `stages` and
`guarding` ask the limits and breakers, `settling` gives back and counts.
"""
