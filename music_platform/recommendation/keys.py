"""Keys of the star schema as numbers: 16 hex digits are 64 bits, and the numbers sort as the texts do."""

from __future__ import annotations

import binascii

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from music_platform.errors import ContractError

Keys = npt.NDArray[np.uint64]
_DIGITS = 16


def numbers_of_keys(keys: pa.Array, column: str) -> Keys:
    """Keys as unsigned 64 bit numbers; ``ContractError`` names the column when one is no key of 16 hex digits."""
    if len(keys) == 0:
        return np.empty(0, dtype=np.uint64)
    offsets = np.frombuffer(keys.buffers()[1], dtype=np.int32)[keys.offset : keys.offset + len(keys) + 1]
    if keys.null_count or (np.diff(offsets) != _DIGITS).any():
        raise ContractError(f"column '{column}' holds a key that is not of {_DIGITS} hex digits")
    digits = memoryview(keys.buffers()[2])[int(offsets[0]) : int(offsets[-1])]
    try:
        packed = binascii.unhexlify(digits)
    except binascii.Error as error:
        raise ContractError(f"column '{column}' holds a key that is not of {_DIGITS} hex digits: {error}") from error
    return np.frombuffer(packed, dtype=">u8").astype(np.uint64)


def keys_of_numbers(numbers: Keys) -> pa.Array:
    """The keys' texts, as a string array."""
    digits = binascii.hexlify(numbers.astype(">u8").tobytes())
    offsets = np.arange(0, _DIGITS * (len(numbers) + 1), _DIGITS, dtype=np.int32)
    return pa.StringArray.from_buffers(len(numbers), pa.py_buffer(offsets), pa.py_buffer(digits))
