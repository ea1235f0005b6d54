"""Files of rows as NumPy, ml_dtypes and safetensors write them: python make.py [FOLDER].

Value i of every array, counted in C order, is i / 4 (exact in each float type), so that a reader in
any language knows what must come out. tests/unit/engine/test_row_files.c reads what is kept here;
tests/interop/test_row_files.py makes it anew and compares.
"""
import json
import pathlib
import sys
import zipfile

import ml_dtypes
import numpy
from safetensors.numpy import save_file

ROWS, WIDTH = 24, 8
TOKENS = numpy.arange(ROWS) * 3 + 1
SEQUENCES = numpy.array([7] * 5 + [2] * 1 + [9] * 10 + [2] * 8)  # 2 comes again: another sequence


def values(*shape, dtype="<f4"):
    return (numpy.arange(numpy.prod(shape, dtype=int)) / 4).reshape(shape).astype(dtype)


def npy(folder):
    for name in ("<f4", "<f8", "<f2", ">f4", ">f8", ">f2"):
        numpy.save(folder / f"{'big' if name[0] == '>' else 'little'}_{name[1:]}.npy",
                   values(ROWS, WIDTH, dtype=name))
    for version in (2, 3):
        with open(folder / f"version_{version}.npy", "wb") as out:
            numpy.lib.format.write_array(out, values(ROWS, WIDTH), version=(version, 0))
    numpy.save(folder / "fortran.npy", numpy.asfortranarray(values(ROWS, WIDTH)))
    numpy.save(folder / "fortran_big_f8.npy", numpy.asfortranarray(values(ROWS, WIDTH, dtype=">f8")))
    numpy.save(folder / "sequences.npy", values(4, 6, WIDTH))
    numpy.save(folder / "sequences_fortran.npy", numpy.asfortranarray(values(4, 6, WIDTH)))
    numpy.save(folder / "layers.npy", values(12, 2, WIDTH))
    numpy.save(folder / "layers_fortran.npy", numpy.asfortranarray(values(12, 2, WIDTH)))
    numpy.save(folder / "empty.npy", values(0, WIDTH))
    numpy.save(folder / "bf16.npy", values(ROWS, WIDTH, dtype=ml_dtypes.bfloat16))
    numpy.save(folder / "edges_f8.npy",
               numpy.array([[1e300, -1e300, numpy.nan, 1e-320, 1 / 3, 3.4028235677973366e38, -0.0, 2]]))


def refused(folder):
    numpy.save(folder / "float8.npy", values(ROWS, WIDTH, dtype=ml_dtypes.float8_e4m3fn))
    numpy.save(folder / "float8_e5m2.npy", values(ROWS, WIDTH, dtype=ml_dtypes.float8_e5m2))
    numpy.save(folder / "complex.npy", values(2, 3, dtype="<c8"))
    numpy.save(folder / "objects.npy", numpy.array([[None, {}]], dtype=object), allow_pickle=True)
    numpy.save(folder / "one_dimension.npy", values(ROWS))
    numpy.save(folder / "four_dimensions.npy", values(2, 3, 4, 5))
    fields = [(f"a_rather_long_field_name_{i}", "<f4") for i in range(4)]
    numpy.save(folder / "records.npy", numpy.zeros((2, 3), dtype=fields))


def npz(folder):
    arrays = dict(acts=values(ROWS, WIDTH), tokens=TOKENS, sequences=SEQUENCES.astype("<i4"))
    numpy.savez(folder / "stored.npz", **arrays)
    numpy.savez_compressed(folder / "compressed.npz", **arrays)
    numpy.savez(folder / "large.npz", acts=values(200, 16))  # more than a header's bound
    numpy.savez_compressed(
        folder / "fortran.npz",
        acts=numpy.asfortranarray(values(4, 6, WIDTH, dtype="<f2")),
        tokens=numpy.asfortranarray(TOKENS.reshape(4, 6).astype(">u2")),
    )
    numpy.savez_compressed(folder / "bf16.npz", values(ROWS, WIDTH, dtype=ml_dtypes.bfloat16))
    limit, zipfile.ZIP64_LIMIT = zipfile.ZIP64_LIMIT, 0
    numpy.savez(folder / "zip64.npz", **arrays)
    zipfile.ZIP64_LIMIT = limit


def safetensors(folder):
    # What a server writes: one token id more than there are rows.
    save_file(
        dict(hidden_states=values(12, 2, WIDTH, dtype=ml_dtypes.bfloat16),
             token_ids=numpy.arange(13) * 3 + 1),
        folder / "server.safetensors",
    )
    for dtype in ("f2", "f4", "f8"):
        save_file(dict(acts=values(ROWS, WIDTH, dtype=dtype)), folder / f"{dtype}.safetensors")
    save_file(
        dict(acts=values(4, 6, WIDTH), ids=SEQUENCES.reshape(4, 6).astype("<u8") + 2**63,
             tokens=TOKENS.reshape(4, 6).astype("<u4")),
        folder / "sequences.safetensors",
    )
    save_file(dict(acts=values(0, WIDTH)), folder / "empty.safetensors")
    save_file(dict(acts=values(ROWS, WIDTH, dtype=ml_dtypes.float8_e4m3fn)),
              folder / "float8.safetensors")
    newer_dtype(folder / "newer_beside.safetensors")


def newer_dtype(path):
    """Rows, and beside them a tensor of a type that nobody knows yet."""
    rows = values(ROWS, WIDTH).tobytes()
    header = {
        "acts": dict(dtype="F32", shape=[ROWS, WIDTH], data_offsets=[0, len(rows)]),
        "scale": dict(dtype="F3_E1M1_2031", shape=[16], data_offsets=[len(rows), len(rows) + 6]),
    }
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + rows + bytes(6))


def shards(folder):
    folder = folder / "shards"
    folder.mkdir(exist_ok=True)
    names = [f"rows-0000{i}-of-00002.safetensors" for i in (1, 2)]
    save_file(dict(other=values(3, 5)), folder / names[0])
    save_file(dict(acts=values(ROWS, WIDTH), tokens=TOKENS), folder / names[1])
    index = dict(metadata=dict(total_size=0),
                 weight_map=dict(other=names[0], acts=names[1], tokens=names[1], gone="gone.safetensors"))
    (folder / "rows.safetensors.index.json").write_text(json.dumps(index, indent=1) + "\n")


def main(folder):
    folder.mkdir(exist_ok=True)
    for make in (npy, refused, npz, safetensors, shards):
        make(folder)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
