"""Everything on TVM: imports of models, design spaces, builds, runs; the only importer of tvm."""
