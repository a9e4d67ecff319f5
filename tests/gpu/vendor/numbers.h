/* Numbers of the types that layers have, in memory, as floats; and the launch of work in a stream. */
#ifndef STANDIN_NUMBERS_H
#define STANDIN_NUMBERS_H

#include <dlfcn.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NUMBER_FLOAT, NUMBER_HALF, NUMBER_BFLOAT16 };

static inline float bits(uint32_t word) {
  float value;
  memcpy(&value, &word, sizeof value);
  return value;
}

static inline float read_number(const void *data, int type, int64_t at) {
  if (type == NUMBER_FLOAT) return ((const float *)data)[at];
  uint16_t word = ((const uint16_t *)data)[at];
  if (type == NUMBER_BFLOAT16) return bits((uint32_t)word << 16);
  _Float16 value;
  memcpy(&value, &word, sizeof value);
  return (float)value;
}

static inline void write_number(void *data, int type, int64_t at, float value) {
  if (type == NUMBER_FLOAT) {
    ((float *)data)[at] = value;
  } else if (type == NUMBER_HALF) {
    ((_Float16 *)data)[at] = (_Float16)value;
  } else {
    uint32_t word;
    memcpy(&word, &value, sizeof word);
    word += 0x7fff + (word >> 16 & 1); /* to the nearest, ties to even */
    ((uint16_t *)data)[at] = (uint16_t)(word >> 16);
  }
}

/* Rounds a float to the 10 bits of TF32's mantissa. */
static inline float tf32(float value) {
  uint32_t word;
  memcpy(&word, &value, sizeof word);
  word += 0xfff + (word >> 13 & 1);
  return bits(word & ~0x1fffu);
}

static inline float gelu_tanh(float x) {
  return 0.5f * x * (1 + tanhf(0.7978845608f * (x + 0.044715f * x * x * x)));
}

/* Waits as long as VENDOR_SECONDS says, so that a test can make the library slow. */
static inline void dawdle(void) {
  const char *seconds = getenv("VENDOR_SECONDS");
  if (!seconds) return;
  double all = atof(seconds);
  struct timespec wait = {(time_t)all, (long)((all - (time_t)all) * 1e9)};
  nanosleep(&wait, NULL);
}

/* Tells the simulated device that memory was written: it copies no memory that never was. */
static inline void written(void *data) {
  int (*copy)(void *, const void *, size_t, int, void *) =
      (int (*)(void *, const void *, size_t, int, void *))dlsym(RTLD_DEFAULT, "cudaMemcpyAsync");
  unsigned char first = *(unsigned char *)data;
  if (copy) copy(data, &first, 1, 1, NULL);
}

/* Runs work in a stream, so that a graph that captures the stream runs it again. Without CUDA's
   runtime, or where that finds no driver or no GPU (35, 100), the work runs at once. */
static inline void launch(void *stream, void (*work)(void *), const void *fields, size_t size) {
  int (*host)(void *, void (*)(void *), void *) =
      (int (*)(void *, void (*)(void *), void *))dlsym(RTLD_DEFAULT, "cudaLaunchHostFunc");
  void *kept = malloc(size);
  memcpy(kept, fields, size);
  int status = host ? host(stream, work, kept) : 100; /* kept for the graph's replays */
  if (status == 35 || status == 100) work(kept);
}

#endif
