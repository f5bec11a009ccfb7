"""Python's sentence-transformers as a contender of bench/local.ts; prints its measurements as one line of JSON."""

import json
import resource
import sys
import time

started = time.perf_counter()
_, name, model_folder, _, corpus_file = sys.argv

import torch  # noqa: E402
from sentence_transformers import SentenceTransformer  # noqa: E402

# The weights come in half precision, and on a CPU that is no speed to compare with.
model = SentenceTransformer(
    f"{model_folder}/all-MiniLM-L6-v2", device="cpu", local_files_only=True, model_kwargs={"dtype": torch.float32}
)
model.encode(["How do I reset my password?"])
first_vector = (time.perf_counter() - started) * 1000
corpus = json.load(open(corpus_file))


def throughput(texts):
    rounds = []
    for _ in range(3):
        begin, count = time.perf_counter(), 0
        while time.perf_counter() - begin < 2:
            model.encode(texts, batch_size=32)
            count += len(texts)
        rounds.append(count / (time.perf_counter() - begin))
    return sorted(rounds)[1]


result = {
    "name": name,
    "firstVector": first_vector,
    **{kind: throughput(corpus[kind]) for kind in ("short", "mixed", "long")},
    "queryP50": float("nan"),
    "queryP99": float("nan"),
    "loopDelayP999": float("nan"),
    "loadDelayMax": float("nan"),
    "peakMemory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
}
print("RESULT " + json.dumps(result).replace("NaN", "null"))
