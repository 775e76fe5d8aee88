// Runs a fuzz target over the files that it is given, and over those in directories, once each.
// Fuzz targets link this instead of libFuzzer in ordinary builds, so that what fuzzing found stays
// found.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

// A block of its own of exactly this size: AddressSanitizer then sees a read past its end.
void RunOne(const std::string& input) {
  auto data = std::make_unique<uint8_t[]>(input.size());
  std::copy(input.begin(), input.end(), data.get());
  LLVMFuzzerTestOneInput(data.get(), input.size());
}

std::vector<std::string> FilesOf(const std::string& path) {
  if (!std::filesystem::is_directory(path)) {
    return {path};
  }
  std::vector<std::string> files;
  for (const std::filesystem::directory_entry& entry :
       std::filesystem::recursive_directory_iterator(path)) {
    if (!entry.is_directory()) {
      files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

int main(int argc, char** argv) {
  RunOne("");
  size_t inputs = 0;
  for (int i = 1; i < argc; ++i) {
    for (const std::string& path : FilesOf(argv[i])) {
      std::ifstream file(path, std::ios::binary);
      if (!file) {
        std::fprintf(stderr, "cannot read the corpus file %s\n", path.c_str());
        return 1;
      }
      std::fprintf(stderr, "%s\n", path.c_str());
      RunOne(std::string(std::istreambuf_iterator<char>(file), {}));
      ++inputs;
    }
  }
  std::fprintf(stderr, "%zu inputs and the empty one: no crash\n", inputs);
  return 0;
}
