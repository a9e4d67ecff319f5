// A 15x15 convolution of a 4096x4096 picture with the parameters of the benchmark convolution_milo
// of github.com/AutoTuningAssociation/benchmark_hub, for measure_resources.py. Macros set
// block_size_x, block_size_y, tile_size_x, tile_size_y, read_only, use_padding and use_shmem.
#define FILTER 15
#define WIDTH 4096
#define PADDED_WIDTH (WIDTH + FILTER - 1)
#define COLUMNS (block_size_x * tile_size_x)
#define ROWS (block_size_y * tile_size_y)
#define USED (COLUMNS + FILTER - 1)
// With padding, rows that follow each other in a block begin in other banks of shared memory.
#define ROW (USED + (use_padding ? (32 - USED % 32 + block_size_x) % 32 : 0))
#if read_only
#define LOAD(place) __ldg(&(place))
#else
#define LOAD(place) (place)
#endif

__constant__ float weights[FILTER * FILTER];

extern "C" __global__ void __launch_bounds__(block_size_x * block_size_y)
    convolution(float *output, const float *input) {
  const int x0 = threadIdx.x, y0 = threadIdx.y;
  const int left = blockIdx.x * COLUMNS, top = blockIdx.y * ROWS;
#if use_shmem
  __shared__ float shared[ROWS + FILTER - 1][ROW];
#pragma unroll
  for (int y = y0; y < ROWS + FILTER - 1; y += block_size_y)
#pragma unroll
    for (int x = x0; x < USED; x += block_size_x)
      shared[y][x] = LOAD(input[(top + y) * PADDED_WIDTH + left + x]);
  __syncthreads();
#define PIXEL(y, x) shared[y][x]
#else
#define PIXEL(y, x) LOAD(input[(top + (y)) * PADDED_WIDTH + left + (x)])
#endif
  float sums[tile_size_y][tile_size_x] = {};
#pragma unroll
  for (int i = 0; i < FILTER; i++)
#pragma unroll
    for (int j = 0; j < FILTER; j++)
#pragma unroll
      for (int y = 0; y < tile_size_y; y++)
#pragma unroll
        for (int x = 0; x < tile_size_x; x++)
          sums[y][x] += weights[i * FILTER + j] *
                        PIXEL(y0 + y * block_size_y + i, x0 + x * block_size_x + j);
#pragma unroll
  for (int y = 0; y < tile_size_y; y++)
#pragma unroll
    for (int x = 0; x < tile_size_x; x++)
      output[(top + y0 + y * block_size_y) * WIDTH + left + x0 + x * block_size_x] = sums[y][x];
}
