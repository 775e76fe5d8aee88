// Runs a fuzz target over the files that it is given, once each. Fuzz targets link this instead of
// libFuzzer in ordinary builds, so that what fuzzing found stays found.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

// A block of its own of exactly this size: AddressSanitizer then sees a read past its end.
void RunOne(const std::string& input) {
  auto data = std::make_unique<uint8_t[]>(input.size());
  std::copy(input.begin(), input.end(), data.get());
  LLVMFuzzerTestOneInput(data.get(), input.size());
}

}  // namespace

int main(int argc, char** argv) {
  RunOne("");
  for (int i = 1; i < argc; ++i) {
    std::ifstream file(argv[i], std::ios::binary);
    if (!file) {
      std::fprintf(stderr, "cannot read the corpus file %s\n", argv[i]);
      return 1;
    }
    std::fprintf(stderr, "%s\n", argv[i]);
    RunOne(std::string(std::istreambuf_iterator<char>(file), {}));
  }
  std::fprintf(stderr, "%d inputs and the empty one: no crash\n", argc - 1);
  return 0;
}
