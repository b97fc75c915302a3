"""Reading raw agglomeration output: what the processed edge and component files are made from.

ranges    what is asked of a bucket or a disk: parts of objects
index     the index of one shard, piece by piece
cache     what a worker remembers of indexes, bounded
shards    entries by their keys, payloads by their entries, every checksum checked
names     which shards can hold what belongs to a chunk
records   edge records of each data version, put in order and summed
gather    the edges of a chunk
remap     the components of chunks
source    all of that behind one object
processed the processed files, written from what was read
"""
