#include "common/builtin/safe_path.h"

#include <algorithm>

namespace sallyport {
namespace {

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// What programs that decode, or normalise, at another time than their neighbour take for something
// else.
std::string_view WrongWhenEncoded(unsigned char byte) {
  switch (byte) {
    case '/':
      return "an encoded slash";
    case '\\':
      return "an encoded backslash";
    case '.':
      return "an encoded dot";
    case '%':
      return "an encoded percent sign";
    default:
      return byte < 0x20 || byte == 0x7f ? "an encoded control byte" : "";
  }
}

std::string_view Decode(std::string_view path, std::string* decoded) {
  for (size_t i = 0; i < path.size(); ++i) {
    if (path[i] != '%') {
      decoded->push_back(path[i]);
      continue;
    }
    const int high = i + 2 < path.size() ? HexDigit(path[i + 1]) : -1;
    const int low = i + 2 < path.size() ? HexDigit(path[i + 2]) : -1;
    if (high < 0 || low < 0) return "a percent sign without two hexadecimal digits";
    const auto byte = static_cast<unsigned char>(high << 4 | low);
    if (const std::string_view wrong = WrongWhenEncoded(byte); !wrong.empty()) return wrong;
    decoded->push_back(static_cast<char>(byte));
    i += 2;
  }
  return "";
}

// Longer forms of a character than its shortest, which old decoders take for "/" or ".".
bool HasOverlongUtf8(std::string_view text) {
  const auto at = [text](size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0;
  };
  for (size_t i = 0; i < text.size(); ++i) {
    const unsigned char first = at(i);
    const unsigned char second = at(i + 1);
    const bool follows = second >= 0x80;
    if (first == 0xc0 || first == 0xc1) return true;
    if (first == 0xe0 && follows && second < 0xa0) return true;
    if (first == 0xf0 && follows && second < 0x90) return true;
  }
  return false;
}

std::string_view WrongSegments(std::string_view path) {
  size_t begin = 1;
  while (true) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view segment = path.substr(begin, end - begin);
    if (segment.empty() && end < path.size()) return "an empty segment";
    const std::string_view name = segment.substr(0, segment.find(';'));
    if (name == "." || name == "..") return "a dot segment";
    if (end == path.size()) return "";
    begin = end + 1;
  }
}

}  // namespace

std::string_view DecodePath(std::string_view target, std::string* decoded) {
  const std::string_view path = target.substr(0, target.find('?'));
  decoded->clear();
  if (!path.starts_with('/')) return "no slash at its beginning";
  if (path.find('%') == path.npos) {
    decoded->assign(path);
  } else if (const std::string_view wrong = Decode(path, decoded); !wrong.empty()) {
    return wrong;
  }
  if (decoded->find('\\') != std::string::npos) return "a backslash";
  if (path.find('#') != path.npos) return "a number sign";
  if (HasOverlongUtf8(*decoded)) return "overlong UTF-8";
  return WrongSegments(*decoded);
}

}  // namespace sallyport
