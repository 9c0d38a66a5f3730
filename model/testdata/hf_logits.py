"""Loads the checkpoint in a folder as transformers does and prints its logits.

usage: hf_logits.py FOLDER   (config.json, model.safetensors, tokens.json: [batch][length])
prints JSON: {"class": ..., "logits": [batch][length][vocabulary]}
"""
import json
import sys

import torch
from transformers import AutoModelForCausalLM

folder = sys.argv[1]
model, loading = AutoModelForCausalLM.from_pretrained(
    folder, torch_dtype=torch.float32, attn_implementation="eager", output_loading_info=True
)
if any(loading[k] for k in ("missing_keys", "unexpected_keys", "mismatched_keys")):
    sys.exit(f"the checkpoint does not fit: {loading}")
with open(f"{folder}/tokens.json") as f:
    tokens = torch.tensor(json.load(f))
with torch.no_grad():
    logits = model.double()(tokens).logits
print(json.dumps({"class": type(model).__name__, "logits": logits.tolist()}))
