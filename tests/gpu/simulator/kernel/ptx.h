// Instructions of PTX that kernels contain as inline assembly; see assembly.py.
#pragma once
#include "wmma.h"
