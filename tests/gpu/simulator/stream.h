// Streams, and graphs that are captured from them. Work is done when it is submitted.
#pragma once
#include <functional>
#include <vector>

namespace simulated {

using Work = std::function<int()>;  // gives CUDA's error

struct Graph {
  std::vector<Work> nodes;
};

struct Stream {
  Graph* capturing = nullptr;
  bool invalidated = false;  // by something that cannot be captured
};

// Does some work, or adds it to the graph where the stream is capturing. Null is the default stream.
int submit(Stream* stream, Work work);

// Fails where a stream is capturing, as a synchronisation or an allocation does, and ends its hope.
int forbid_in_capture();

int begin_capture(Stream* stream);
int end_capture(Stream* stream, Graph** graph);
int replay(const Graph* graph);
void forget(Stream* stream);

}  // namespace simulated
