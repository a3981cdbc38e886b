"""Why a model gave its answer, word by word; what a chapter needs of it."""
