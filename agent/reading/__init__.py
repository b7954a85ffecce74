"""How a message is read without a language model, floor by floor.

numbers      figures as people type and dictate them
moods        what is hedged, supposed, asked, wished for, or told of somebody else
facts        the records a reading is made of
scan         a message made ready: numbers, moods, spans that names have taken
model licences languages heldout hours team choices flags stakes history     prose, a binder per field
marks slices rates     pass@k in prose: what stands on a line, which slice governs it, which k a figure belongs to
fields values keyed grids tables     pasted structure
prose        every binder, by field, in the order they run
corrections  what the same message replaces or takes back
"""
