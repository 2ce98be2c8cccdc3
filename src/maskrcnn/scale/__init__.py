"""Many images in parts that any number of processes share: shards, and the engines that hand them out.

An engine only says which process does which shard. What a shard holds, and what it comes out as, is the same for all.
"""
