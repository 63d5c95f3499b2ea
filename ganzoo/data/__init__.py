"""From the source that a dataset plugin returns to batches on the device.

`dataset` turns a source into checked arrays, `decode` keeps the cache of decoded items, `batches`
chooses the order of the samples and copies them to the device. `condition_table` opens a table as samples.
"""
