"""What answers in production: ONNX Runtime, tokenizers and NumPy; no torch, no transformers."""
