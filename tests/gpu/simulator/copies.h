// Asynchronous copies into shared memory, as late as they may happen, or as early.
#pragma once

namespace simulated {

// Forgets the copies of all threads, as at the beginning of a block.
void forget_copies(unsigned threads);

}  // namespace simulated
