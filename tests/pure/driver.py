"""A pretended driver: NVIDIA's management library with GPUs that an environment variable names."""

import shutil
import subprocess
from pathlib import Path

import pytest

from chameleon_ray.measure.nvml import LIBRARY

GPUS = "FAKE_GPUS"
"""``NAME:MAJOR,NAME:MAJOR``, with the major number of the compute capability; unset for none.

A GPU whose name begins with ``Lost`` has fallen off the bus, one that begins with ``Sick`` answers
with an error that NVML calls unknown, ``Other`` is kept from this user, ``Split`` is divided into
instances, and ``Shared`` has no memory of its own.
"""
SOURCE = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
typedef unsigned int u; typedef unsigned long long w; typedef void* h;
static char which[64];
static const char* told(h d) {
  const char* s = getenv("FAKE_GPUS");
  for (long i = (char*)d - which; s && i > 0; i--) { s = strchr(s, ','); if (s) s++; }
  return s;
}
int nvmlInit_v2(void) { return 0; }
int nvmlDeviceGetCount_v2(u* n) {
  const char* s = getenv("FAKE_GPUS");
  for (*n = 0; s && *s; s = strchr(s, ',') ? strchr(s, ',') + 1 : 0) ++*n;
  return 0; }
int nvmlDeviceGetHandleByIndex_v2(u i, h* d) {
  *d = which + i;
  if (!strncmp(told(*d), "Other", 5)) return 4;
  if (!strncmp(told(*d), "Sick", 4)) return 999;
  return strncmp(told(*d), "Lost", 4) ? 0 : 15; }
int nvmlDeviceGetMigMode(h d, u* now, u* then) {
  *now = *then = !strncmp(told(d), "Split", 5);
  return strncmp(told(d), "Fake", 4) ? 0 : 3; }
int nvmlDeviceGetHandleByUUID(const char* s, h* d) {
  if (strncmp(s, "GPU-", 4)) return 6;
  *d = which + atoi(s + 4); return 0; }
int nvmlDeviceGetCudaComputeCapability(h d, int* a, int* b) {
  *a = atoi(strchr(told(d), ':') + 1); *b = 0; return 0; }
int nvmlDeviceGetMemoryInfo(h d, w* m) {
  if (!strncmp(told(d), "Shared", 6)) return 3;
  m[0] = 5; m[1] = 3; m[2] = 2; return 0; }
int nvmlDeviceGetName(h d, char* s, u n) {
  long k = strchr(told(d), ':') - told(d); strncpy(s, told(d), k); s[k] = 0; return 0; }
int nvmlDeviceGetUUID(h d, char* s, u n) { sprintf(s, "GPU-%ld", (char*)d - which); return 0; }
int nvmlSystemGetDriverVersion(char* s, u n) { strcpy(s, "580.1"); return 0; }
int nvmlDeviceGetClockInfo(h d, u k, u* v) { *v = k == 1 ? 1980 : 2619; return 0; }
int nvmlDeviceGetTemperature(h d, u k, u* v) { return 3; }
int nvmlDeviceGetCurrentClocksThrottleReasons(h d, w* v) { *v = 1 | 1ull << 40; return 0; }
"""


def library(folder: Path) -> Path:
    """The library in a folder, made where it is not there yet; skips where no compiler is."""
    made = folder / LIBRARY
    if not made.exists():
        compiler = shutil.which("cc")
        if compiler is None:
            pytest.skip("there is no C compiler to make a driver with")
        source = folder / "driver.c"
        source.write_text(SOURCE)
        subprocess.run([compiler, "-shared", "-fPIC", "-o", made, source], check=True)
    return made
