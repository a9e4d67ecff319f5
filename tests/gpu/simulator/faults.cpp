#include "faults.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "machine.h"

namespace simulated {

bool lost(int number) {
  const char* name = getenv("SIMULATED_LOST");
  FILE* file = name ? fopen(name, "r") : nullptr;
  if (!file) return false;
  bool found = false;
  for (int one; fscanf(file, "%d", &one) == 1;) found |= one == number;
  fclose(file);
  return found;
}

static void append(const char* variable, int number) {
  const char* name = getenv(variable);
  FILE* file = name ? fopen(name, "a") : nullptr;
  if (!file) return;
  fprintf(file, "%d\n", number);
  fclose(file);
}

void begin() {
  static pid_t begun = 0;
  if (begun == getpid()) return;
  begun = getpid();
  append("SIMULATED_TRACE", begun);
  sleep(static_cast<unsigned>(number_of("SIMULATED_CONTEXT_SECONDS", 0)));
}

void loaded(int number) {
  static long long modules = 0;
  if (++modules == number_of("SIMULATED_LOST_AT", 0)) append("SIMULATED_LOST", number);
}

void launched() {
  static long long launches = 0;
  if (++launches == number_of("SIMULATED_HANGS_AT", 0)) sleep(3600);
  const char* stop = getenv("SIMULATED_STOP");
  if (stop && !unlink(stop)) raise(SIGSTOP);
}

bool occupied() {
  static pid_t owner = 0;
  const char* name = getenv("SIMULATED_EXCLUSIVE");
  if (!name || owner == getpid()) return false;
  int file = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);  // held until the process ends
  if (file < 0 || flock(file, LOCK_EX | LOCK_NB)) {
    if (file >= 0) close(file);
    return true;
  }
  owner = getpid();
  return false;
}

int capture_error() { return static_cast<int>(number_of("SIMULATED_CAPTURE", 0)); }

bool replays_nothing() {
  const char* text = getenv("SIMULATED_REPLAYS");
  return text && !strcmp(text, "nothing");
}

int refusal() { return static_cast<int>(number_of("SIMULATED_REFUSES", 0)); }

}  // namespace simulated
