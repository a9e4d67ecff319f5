// libnvrtc.so.13: the real NVRTC, whose binaries get the same kernels for a CPU behind them.
//
// The real library's path, and the command that translates and compiles for the CPU, are given when
// this one is built: REAL_NVRTC, PYTHON and TRANSLATE.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <nvrtc.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include "module.h"

#define EXPORT __attribute__((visibility("default")))

extern char** environ;

namespace {

struct Program {
  std::string source;
  std::string kernels;   // for a CPU, as they are appended to the binary
  std::string complaint; // why there are none
};

std::map<nvrtcProgram, Program> programs;

template <class Signature>
Signature* real(const char* name) {
  static void* library = dlopen(REAL_NVRTC, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
  if (!library) fprintf(stderr, "simulated GPU: %s\n", dlerror());
  return reinterpret_cast<Signature*>(dlsym(library, name));
}

#define REAL(function) real<decltype(function)>(#function)

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// Starts the translator, whose standard output goes to a file; 0 where it cannot be started.
pid_t translate(const std::string& from, const std::string& to, const std::string& said) {
  std::string words[] = {PYTHON, "-SE", TRANSLATE, from, to};
  char* command[] = {&words[0][0], &words[1][0], &words[2][0], &words[3][0], &words[4][0], nullptr};
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 1, said.c_str(), O_WRONLY | O_CREAT, 0600);
  pid_t child;
  int status = posix_spawn(&child, PYTHON, &files, nullptr, command, environ);
  posix_spawn_file_actions_destroy(&files);
  return status ? 0 : child;
}

bool succeeds(pid_t child) {
  int status = 1;
  while (child && waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status == 0;
}

std::string trailer(const std::string& library) {
  uint64_t size = library.size();
  return std::string(simulated::kTrailer, sizeof simulated::kTrailer) +
         std::string(reinterpret_cast<char*>(&size), sizeof size) + library;
}

// Compiles a program for a CPU, or notes why that cannot be done, while `compiled` does the same for
// the GPU; returns what that returns.
template <class Compiled>
nvrtcResult compile(Program& program, Compiled compiled) {
  char folder[] = "/tmp/simulated-XXXXXX";
  if (!mkdtemp(folder)) return compiled();
  std::string from = std::string(folder) + "/kernel.cu", to = std::string(folder) + "/kernel.so";
  std::string said = std::string(folder) + "/said";
  std::ofstream(from) << program.source;
  pid_t child = translate(from, to, said);
  nvrtcResult status = compiled();
  if (succeeds(child))
    program.kernels = trailer(read(to));
  else
    program.complaint = read(said);
  for (const std::string& path : {from, to, said}) unlink(path.c_str());
  rmdir(folder);
  return status;
}

}  // namespace

EXPORT nvrtcResult nvrtcCreateProgram(nvrtcProgram* program, const char* source, const char* name,
                                      int count, const char* const* headers,
                                      const char* const* names) {
  nvrtcResult status = REAL(nvrtcCreateProgram)(program, source, name, count, headers, names);
  if (!status) programs[*program].source = source;
  return status;
}

EXPORT nvrtcResult nvrtcCompileProgram(nvrtcProgram program, int count, const char* const* options) {
  Program& own = programs[program];
  nvrtcResult status = compile(
      own, [&] { return REAL(nvrtcCompileProgram)(program, count, options); });
  if (!status && own.kernels.empty()) return NVRTC_ERROR_COMPILATION;
  if (status) own = {own.source, "", ""};  // the real one's complaint is enough
  return status;
}

EXPORT nvrtcResult nvrtcGetCUBINSize(nvrtcProgram program, size_t* size) {
  nvrtcResult status = REAL(nvrtcGetCUBINSize)(program, size);
  *size += programs[program].kernels.size();
  return status;
}

EXPORT nvrtcResult nvrtcGetCUBIN(nvrtcProgram program, char* code) {
  size_t size = 0;
  REAL(nvrtcGetCUBINSize)(program, &size);
  const std::string& kernels = programs[program].kernels;
  kernels.copy(code + size, kernels.size());
  return REAL(nvrtcGetCUBIN)(program, code);
}

EXPORT nvrtcResult nvrtcGetProgramLogSize(nvrtcProgram program, size_t* size) {
  nvrtcResult status = REAL(nvrtcGetProgramLogSize)(program, size);
  *size += programs[program].complaint.size();
  return status;
}

EXPORT nvrtcResult nvrtcGetProgramLog(nvrtcProgram program, char* text) {
  const std::string& complaint = programs[program].complaint;
  complaint.copy(text, complaint.size());
  return REAL(nvrtcGetProgramLog)(program, text + complaint.size());
}

EXPORT nvrtcResult nvrtcDestroyProgram(nvrtcProgram* program) {
  programs.erase(*program);
  return REAL(nvrtcDestroyProgram)(program);
}

// The rest is handed on as it is.

EXPORT nvrtcResult nvrtcVersion(int* major, int* minor) { return REAL(nvrtcVersion)(major, minor); }

EXPORT const char* nvrtcGetErrorString(nvrtcResult status) {
  return REAL(nvrtcGetErrorString)(status);
}

EXPORT nvrtcResult nvrtcGetNumSupportedArchs(int* count) {
  return REAL(nvrtcGetNumSupportedArchs)(count);
}

EXPORT nvrtcResult nvrtcGetSupportedArchs(int* archs) { return REAL(nvrtcGetSupportedArchs)(archs); }

EXPORT nvrtcResult nvrtcGetPTXSize(nvrtcProgram program, size_t* size) {
  return REAL(nvrtcGetPTXSize)(program, size);
}

EXPORT nvrtcResult nvrtcGetPTX(nvrtcProgram program, char* code) {
  return REAL(nvrtcGetPTX)(program, code);
}
