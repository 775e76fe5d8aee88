#include "cli/yaml/print.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"
#include "common/base/strings.h"

namespace sallyport::yaml {
namespace {

// Text that no reader of YAML, of whichever version, takes for anything but text.
bool MayStandPlain(const std::string& text) {
  static constexpr std::string_view kWords[] = {"null", "true", "false", "yes", "no",
                                                "on",   "off",  "y",     "n"};
  if (text.empty() || !absl::ascii_isalpha(static_cast<unsigned char>(text[0]))) return false;
  const bool safe = std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.' || c == '/';
  });
  const std::string lower = absl::AsciiStrToLower(text);
  return safe && std::none_of(std::begin(kWords), std::end(kWords),
                              [&](std::string_view word) { return word == lower; });
}

std::string Quoted(const std::string& text) {
  std::string quoted = "\"";
  for (size_t i = 0; i < text.size(); ++i) {
    const unsigned char c = static_cast<unsigned char>(text[i]);
    const unsigned char next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0;
    if (c == '"' || c == '\\') {
      quoted.push_back('\\');
      quoted.push_back(static_cast<char>(c));
    } else if (c == '\n') {
      quoted += "\\n";
    } else if (c < 0x20 || c == 0x7f) {
      quoted += absl::StrFormat("\\x%02x", c);
    } else if (c == 0xc2 && next >= 0x80 && next < 0xa0) {
      // C1 control characters; one of them is a line break in YAML 1.1.
      quoted += absl::StrFormat("\\x%02x", next);
      ++i;
    } else {
      quoted.push_back(static_cast<char>(c));
    }
  }
  quoted.push_back('"');
  return quoted;
}

std::string Word(const std::string& text) { return MayStandPlain(text) ? text : Quoted(text); }

class Printer {
 public:
  std::string Take() { return std::move(out_); }

  // The value, at the end of a line that has begun. `indent`: of the lines below.
  void Value(const Node& node, size_t indent) {
    const bool is_block = !node.children.empty() && node.style == Node::Style::kBlock;
    if (!is_block) {
      out_ += ' ';
      Flow(node);
    }
    if (!node.comment.empty()) out_ += "  # " + node.comment;
    out_ += '\n';
    if (is_block) Block(node, indent);
  }

  void Block(const Node& node, size_t indent) {
    for (const Node& child : node.children) {
      out_.append(indent, ' ');
      if (node.is_mapping()) {
        out_ += Word(child.key) + ":";
        Value(child, indent + 2);
      } else {
        out_ += '-';
        Value(child, indent + 2);
      }
    }
  }

 private:
  void Flow(const Node& node) {
    switch (node.kind) {
      case Node::Kind::kNull:
        out_ += "null";
        return;
      case Node::Kind::kPlain:
        out_ += node.text;
        return;
      case Node::Kind::kText:
        out_ += Word(node.text);
        return;
      case Node::Kind::kSequence:
      case Node::Kind::kMapping:
        break;
    }
    out_ += node.is_mapping() ? "{" : "[";
    for (const Node& child : node.children) {
      if (&child != &node.children.front()) out_ += ", ";
      if (node.is_mapping()) out_ += Word(child.key) + ": ";
      Flow(child);
    }
    out_ += node.is_mapping() ? "}" : "]";
  }

  std::string out_;
};

}  // namespace

std::string Print(const Node& node) {
  Printer printer;
  if (!node.children.empty() && node.style == Node::Style::kBlock) {
    printer.Block(node, 0);
    return printer.Take();
  }
  printer.Value(node, 0);
  return printer.Take().substr(1);
}

}  // namespace sallyport::yaml
