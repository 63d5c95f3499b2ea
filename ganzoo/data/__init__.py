"""From what a data-set plugin hands over to batches on the device.

`dataset` brings a source into checked arrays, `decode` fills and finds the cache of decoded items,
`batches` says which samples come when and puts them onto the device.
"""
