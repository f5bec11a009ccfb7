"""Token ids of random strings by the Rust tokenizers, for tokenizer.json files of many forms.

usage: tokenizer_ids.py TOKENIZER_JSON COUNT > FILE

Writes one JSON object: for each form its definition, and the ids of each text.
"""
import json
import random
import sys

from tokenizers import Tokenizer

RANGES = [
    (0x20, 0x7E), (0x20, 0x7E), (0x61, 0x7A), (0x61, 0x7A), (0x00, 0x1F), (0x7F, 0xFF), (0x100, 0x24F), (0x300, 0x36F),
    (0x370, 0x3FF), (0x400, 0x4FF), (0x590, 0x5FF), (0x600, 0x6FF), (0x900, 0x97F), (0xD00, 0xD7F), (0xD80, 0xDFF),
    (0xE00, 0xE7F), (0x1100, 0x11FF), (0x1E00, 0x1EFF), (0x2000, 0x206F), (0x2070, 0x20CF), (0x2100, 0x218F),
    (0x2190, 0x21FF), (0x2460, 0x24FF), (0x3000, 0x303F), (0x3040, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3),
    (0xFB00, 0xFB4F), (0xFE00, 0xFE0F), (0xFF00, 0xFFEF), (0x1F300, 0x1F6FF), (0x1F1E6, 0x1F1FF), (0x20000, 0x2A6DF),
]
WORDS = ["the", "ﬁle", "straße", "ÜBER", "Ὀδυσσεύς", "१२३", "½️", "ｶﾞ", "👩‍👩‍👧", "🏳️‍🌈", "비밀", "ශ්‍රී", "don't", "12.5", "[SEP]", "</s>"]


def random_text(rng):
    parts = []
    for _ in range(rng.randint(1, 12)):
        kind = rng.random()
        if kind < 0.2:
            parts.append(rng.choice(WORDS))
        elif kind < 0.3:
            parts.append(rng.choice([" ", "  ", "\n", "\t", "\u00a0", "\u3000", "\r\n"]))
        else:
            low, high = rng.choice(RANGES)
            parts.append("".join(chr(rng.randint(low, high)) for _ in range(rng.randint(1, 5))))
    return "".join(parts)


def forms(bert, texts):
    """Definitions of tokenizer.json by name."""
    rng = random.Random(7)
    characters = sorted({c for text in texts for c in text} | {"▁"})
    letters = [c for c in characters if rng.random() < 0.6 or c == "▁"]
    pairs = sorted({t[i:i + 2] for t in texts for i in range(len(t) - 1)})
    vocabulary = [["<s>", 0], ["<pad>", 0], ["</s>", 0], ["<unk>", 0]]
    vocabulary += [[c, -6 - rng.random()] for c in letters]
    vocabulary += [[p, -4 - rng.random() * 2] for p in rng.sample(pairs, min(3000, len(pairs)))]
    vocabulary += [["▁" + c, -5 - rng.random()] for c in letters if c != "▁" and rng.random() < 0.5]
    special = [
        {"id": i, "content": c, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
        for i, c in enumerate(["<s>", "<pad>", "</s>", "<unk>"])
    ]
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    split = {"type": "WhitespaceSplit"}

    def unigram(normalizer, pre_tokenizer):
        return {
            "version": "1.0", "truncation": None, "padding": None, "added_tokens": special, "normalizer": normalizer,
            "pre_tokenizer": pre_tokenizer, "post_processor": None, "decoder": None,
            "model": {"type": "Unigram", "unk_id": 3, "vocab": vocabulary, "byte_fallback": False},
        }

    def words(normalizer, pre_tokenizer):
        return {**bert, "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "truncation": None, "padding": None}

    table = open(sys.argv[3]).read().strip() if len(sys.argv) > 3 else None
    charsmap = {"type": "Precompiled", "precompiled_charsmap": table}
    lower = {"type": "Lowercase"}
    quotes = [{"type": "Replace", "pattern": {"String": "``"}, "content": '"'}]
    albert = [*quotes, {"type": "NFKD"}, {"type": "StripAccents"}, lower]
    blanks = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}
    made = {
        "BERT": words(bert["normalizer"], bert["pre_tokenizer"]),
        "Whitespace": words(None, {"type": "Whitespace"}),
        "Lowercase and Punctuation": words(lower, {"type": "Sequence", "pretokenizers": [split, {"type": "Punctuation"}]}),
        "Digits": words(None, {"type": "Sequence", "pretokenizers": [split, {"type": "Digits", "individual_digits": True}]}),
        "Nmt": unigram({"type": "Sequence", "normalizers": [{"type": "Nmt"}, {"type": "NFKC"}, blanks]}, metaspace),
        "Metaspace, first": unigram(None, {**metaspace, "prepend_scheme": "first"}),
        "Metaspace, whole": unigram(None, {**metaspace, "split": False}),
        "Strip": unigram({"type": "Sequence", "normalizers": [{"type": "Strip", "strip_left": True, "strip_right": True}, blanks]}, metaspace),
    }
    if table:
        made["Unigram with a table"] = unigram(charsmap, {"type": "Sequence", "pretokenizers": [split, metaspace]})
        made["ALBERT"] = unigram({"type": "Sequence", "normalizers": [*albert, charsmap]}, {"type": "Sequence", "pretokenizers": [split, metaspace]})
        made["T5"] = unigram({"type": "Sequence", "normalizers": [charsmap, blanks]}, metaspace)
    return made


def main():
    bert = json.load(open(sys.argv[1]))
    rng = random.Random(3)
    texts = [random_text(rng) for _ in range(int(sys.argv[2]))]
    result = {"texts": texts, "forms": {}}
    for name, definition in forms(bert, texts).items():
        tokenizer = Tokenizer.from_str(json.dumps(definition))
        encoded = tokenizer.encode_batch(texts)
        result["forms"][name] = {"definition": definition, "ids": [each.ids for each in encoded]}
    json.dump(result, sys.stdout)


main()
