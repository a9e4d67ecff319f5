#include "stream.h"

#include <set>

#include "context.h"
#include "faults.h"

namespace simulated {

static std::set<Stream*> capturing;

int submit(Stream* stream, Work work) {
  if (context().error) return context().error;
  if (!stream && !capturing.empty()) {
    forbid_in_capture();
    return kCaptureImplicit;
  }
  if (!stream || !stream->capturing) return work();
  if (stream->invalidated) return kCaptureInvalidated;
  stream->capturing->nodes.push_back(std::move(work));
  return kSuccess;
}

int forbid_in_capture() {
  for (Stream* stream : capturing) stream->invalidated = true;
  return capturing.empty() ? kSuccess : kCaptureUnsupported;
}

int begin_capture(Stream* stream) {
  if (!stream) return kCaptureUnsupported;
  if (stream->capturing) return kInvalidValue;
  stream->capturing = new Graph;
  capturing.insert(stream);
  return kSuccess;
}

int end_capture(Stream* stream, Graph** graph) {
  if (!stream || !stream->capturing) return kInvalidValue;
  Graph* made = stream->capturing;
  bool invalidated = stream->invalidated;
  forget(stream);
  int error = invalidated ? int{kCaptureInvalidated} : capture_error();
  *graph = error ? nullptr : made;
  if (error) delete made;
  return error;
}

int replay(const Graph* graph) {
  if (replays_nothing()) return kSuccess;
  for (const Work& work : graph->nodes) {
    if (context().error) return context().error;
    int error = work();
    if (error) return error;
  }
  return kSuccess;
}

void forget(Stream* stream) {
  capturing.erase(stream);
  stream->capturing = nullptr;
  stream->invalidated = false;
}

}  // namespace simulated
