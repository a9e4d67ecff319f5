// CUDA's language for a C++ compiler, as far as generated kernels use it.
#pragma once
#include "entry.h"
#include "language.h"
#include "arithmetic.h"
#include "half.h"
#include "bfloat16.h"
#include "vectors.h"
#include "warp.h"
#include "wmma.h"
#include "ptx.h"
