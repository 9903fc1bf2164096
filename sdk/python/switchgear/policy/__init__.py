"""The pure policy kernel: no clock, no chance, no I/O, no framework.

What happens to a call is in this folder: read `decide` first. `matching` finds what
applies (`precedence` which rules win, `plan` what they amount to), `stages` and
`guarding` ask the limits and breakers, `settling` gives back and counts; `explain` says
why. `facts` are what is told of a call, `decision` what is answered.

    rules/        the kinds of rules: parameters, selectors, shaping and limiting ones
    documents/    rules to documents and back: strict reading, one spelling, snapshots
    machines/     what breakers and limits remember, as frozen values
    review/       what cannot be meant or probably is not, and a draft in sentences
"""
