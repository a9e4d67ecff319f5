"""The TVM wing: models, tasks, design spaces, build, run, apply. The only importer of tvm."""
