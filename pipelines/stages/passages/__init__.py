"""Stage `passages`: paragraphs and lines that occur in several documents, such as licence texts,
notices of cookies and signatures.

A passage is a line of a text, a paragraph of several lines between blank ones, or three sentences
in a row of a longer line. Two are equal when they differ only in case and white space. The first
document that has it, in survivor order, keeps it; where the source asks for it, the others lose it.
What is left is what `near` compares and what is encoded and exported; a document with too little
left is removed. So a document is compared by the text of its own, and not by a licence that stands
above it.

    passage-keys     per slice: a sketch of each passage (4 bytes), its record, the documents' ids
    passage-repeats  per part of the sketches: which of them may be repeated, one bit each
    passage-records  per slice: the records of those alone
    passage-counts   per part of the keys: which are repeated, how often, and where first
    passages         per slice: the spans, by document

Most passages occur once, so most records never leave their slice. Law 1: no text leaves it either.
What passes from worker to worker are files below `work/`, partitioned by key or by slice and read
by ranges: packed sketches of 40 bits (4 bytes; their top 8 bits follow from their place), bits, and
records of 20 and 24 bytes of passages that are repeated. Memory is a part of the sketches (200 MB)
or of the records (400 MB), and the passages of one slice (24 bytes each).

Neither is exact alone: two of a thousand million passages share a sketch with a chance of one in a
thousand, and such a record is sent and found to be alone. Keys have 96 bits: two of ten thousand
million passages are taken for one with a chance below one in a hundred million.
"""
