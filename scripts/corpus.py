#!/usr/bin/env python3
"""Makes a text corpus out of files that Debian packages install: corpus.py ROOT > corpus.jsonl

Each line is {"text": ...}, one document. The same files give the same bytes with every Python 3:
the documents' order, a shuffle, is that of the SHA-256 of their text, so any prefix of the corpus
is a fair sample of it, and the same text twice is kept once.
"""
import gzip
import hashlib
import json
import os
import re
import sys

# A document is at least this long where its source is made of short pieces, and is cut at the next
# heading or paragraph after the larger number.
SHORT_CHARS = 1500
LONG_CHARS = 6000
# Of the dictionary (40 MB) this much, so that it does not drown the rest.
DICTIONARY_CHARS = 9_000_000

FORTUNES_SKIPPED = {"ascii-art", "translate-me", "ethnic", "men-women"}  # drawings, lists; jibes
# Tables, a list of all headings, and pages in other encodings than UTF-8.
PODS_SKIPPED = {"perluniprops", "perltoc", "perlcn", "perljp", "perlko", "perltw"}


def read(path):
    opened = gzip.open if path.endswith(".dz") else open
    with opened(path, "rb") as file:
        return file.read().decode("utf-8", "ignore").replace("\r", "")


def gather(pieces):
    """Short pieces, in order, as documents of at least SHORT_CHARS."""
    document, length = [], 0
    for piece in pieces:
        document.append(piece)
        length += len(piece)
        if length >= SHORT_CHARS:
            yield "\n\n".join(document)
            document, length = [], 0
    if document:
        yield "\n\n".join(document)


def fortunes(root):
    folder = os.path.join(root, "usr/share/games/fortunes")
    for name in sorted(os.listdir(folder)):
        if "." in name or name in FORTUNES_SKIPPED:
            continue
        text = re.sub(r".\x08", "", read(os.path.join(folder, name))).expandtabs(4)
        pieces = (piece.strip("\n") for piece in re.split(r"(?m)^%$\n?", text))
        yield from gather(piece for piece in pieces if piece.strip())


POD_ESCAPES = {"lt": "<", "gt": ">", "verbar": "|", "sol": "/", "amp": "&", "quot": '"'}


def pod_code(letter, inside):
    if letter in "XZ":
        return ""
    if letter == "E":
        if re.fullmatch(r"\d+|0x[0-9a-fA-F]+", inside):
            return chr(int(inside, 0))
        return POD_ESCAPES.get(inside, inside[:1])
    if letter == "L":
        shown, bar, target = inside.partition("|")
        return shown if bar else shown.lstrip("/").replace("/", ", ").strip('"')
    return inside


def pod_plain(text):
    """The formatting codes of a pod paragraph, innermost first, give way to what they hold."""
    wide = re.compile(r"([A-Z])<{2,4} +(.*?) +>{2,4}", re.S)
    # What comes out of E<lt> must not be taken for a code: it is kept apart until the end.
    text = wide.sub(lambda m: hide(pod_code(m[1], m[2])), text)
    narrow = re.compile(r"([A-Z])<([^<>]*)>")
    while True:
        changed = narrow.sub(lambda m: hide(pod_code(m[1], m[2])), text)
        if changed == text:
            return text.replace("\x01", "<").replace("\x02", ">")
        text = changed


def hide(text):
    return text.replace("<", "\x01").replace(">", "\x02")


def pod_paragraphs(text):
    """(is a heading, plain text) of each paragraph that a reader would see."""
    skipping = False
    for paragraph in re.split(r"\n[ \t]*\n+", text):
        paragraph = paragraph.strip("\n")
        command = re.match(r"=(\w+)\s*(.*)", paragraph, re.S)
        if command:
            word, rest = command[1], command[2]
            if word in ("begin", "end"):
                skipping = word == "begin"
            if skipping or not (word.startswith("head") or word == "item"):
                continue
            rest = " ".join(pod_plain(rest).split())
            if rest and rest != "*":
                yield word in ("head1", "head2"), rest
        elif not skipping and paragraph.strip():
            verbatim = paragraph[0] in " \t"
            plain = paragraph if verbatim else " ".join(pod_plain(paragraph).split())
            if plain:
                yield False, plain.expandtabs(8)


def pods(root):
    base = os.path.join(root, "usr/share/perl")
    version = sorted(name for name in os.listdir(base) if re.fullmatch(r"[\d.]+", name))[-1]
    folder = os.path.join(base, version, "pod")
    for name in sorted(os.listdir(folder)):
        stem, extension = os.path.splitext(name)
        if extension != ".pod" or stem in PODS_SKIPPED:
            continue
        document, length = [], 0
        for heading, plain in pod_paragraphs(read(os.path.join(folder, name))):
            if length >= LONG_CHARS or (heading and length >= SHORT_CHARS):
                yield "\n\n".join(document)
                document, length = [], 0
            document.append(plain)
            length += len(plain)
        yield "\n\n".join(document)


SOURCE_TAG = re.compile(
    r"\[(?:1913 Webster|Webster 1913|WordNet|PJC|Century Dict|AS|MW10|RHUD|FBC|BW)[^\]]*\]")
# [=a], [e^], ['e] and so on; [ae], [oe]; [imac]. But [R.] and [L.] are words.
ACCENT = re.compile(
    r"\[(?:[=~^\"'`.,*-]{1,2}([a-zA-Z]{1,2})|([a-zA-Z]{1,2})[=~^\"'`*-]|(ae|oe|AE|OE)"
    r"|([a-zA-Z])(?:um|mac|sl|cir|grave|acute|uml|il|dd|hat))\]")


def entry_plain(entry):
    """A dictionary's entry as running text: no pronunciation, no source, no mark-up."""
    entry = re.sub(r"\\[^\\\n]*\\", "", entry)
    entry = SOURCE_TAG.sub("", entry)
    entry = entry.replace("[deg]", " degrees").replace("[thorn]", "th").replace("[eth]", "th")
    head, comma, rest = entry.partition("\n")
    head = re.sub(r" *\([^()]*[\[\"`'*][^()]*\)", "", head)
    entry = ACCENT.sub(lambda m: m[m.lastindex], head + comma + rest)
    entry = re.sub(r"[{}]", "", entry)
    paragraphs = (" ".join(p.split()) for p in re.split(r"\n\s*\n", entry))
    return "\n".join(p.replace(" ,", ",") for p in paragraphs if p)


def dictionary(root):
    text = read(os.path.join(root, "usr/share/dictd/gcide.dict.dz"))
    # An entry begins where a line does not begin with a space. The entries about the dictionary
    # itself, and the files' headers, have no pronunciation.
    entries = (e for e in re.split(r"\n(?=\S)", text) if "\\" in e.partition("\n")[0])
    pages = sorted(gather(map(entry_plain, entries)), key=key)
    length = 0
    for page in pages:
        length += len(page)
        if length > DICTIONARY_CHARS:
            return
        yield page


def key(document):
    return hashlib.sha256(document.encode()).digest()


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else "/"
    documents = {}
    for source in (fortunes, pods, dictionary):
        before, chars = len(documents), 0
        for document in source(root):
            document = re.sub(r"[ \t]+\n", "\n", document).strip("\n")
            chars += len(document)
            documents[key(document)] = document
        print(f"{source.__name__}: {len(documents) - before} documents, {chars} characters",
              file=sys.stderr)
    for name in sorted(documents):
        line = json.dumps({"text": documents[name]}, ensure_ascii=False, separators=(",", ":"))
        sys.stdout.buffer.write(line.encode() + b"\n")


if __name__ == "__main__":
    main()
