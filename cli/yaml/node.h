// A YAML document as a tree that knows where each value stands.

#ifndef SALLYPORT_CLI_YAML_NODE_H_
#define SALLYPORT_CLI_YAML_NODE_H_

#include <string>
#include <utility>
#include <vector>

namespace sallyport::yaml {

// A place in a file, counted from 1. Line 0: none.
struct Mark {
  int line = 0;
  int column = 0;

  friend bool operator==(const Mark&, const Mark&) = default;
};

// What is wrong, and where.
struct Problem {
  Mark mark;
  std::string what;
};
using Problems = std::vector<Problem>;

// A value.
struct Node {
  enum class Kind {
    kNull,
    kText,      // Quoted in the file: nothing but text.
    kPlain,     // Not quoted: text, a number or a boolean, by what is expected.
    kSequence,  // `children`.
    kMapping,   // `children`, each with a key of its own.
  };
  // How a sequence or mapping is printed.
  enum class Style { kBlock, kFlow };

  Kind kind = Kind::kNull;
  std::string text;
  std::vector<Node> children;
  Mark mark;
  // Of a mapping's children.
  std::string key;
  Mark key_mark;

  Style style = Style::kBlock;
  // Printed behind the value.
  std::string comment;

  bool is_scalar() const { return kind == Kind::kText || kind == Kind::kPlain; }
  bool is_sequence() const { return kind == Kind::kSequence; }
  bool is_mapping() const { return kind == Kind::kMapping; }

  static Node Text(std::string text) {
    Node node;
    node.kind = Kind::kText;
    node.text = std::move(text);
    return node;
  }
  static Node Plain(std::string text) {
    Node node = Text(std::move(text));
    node.kind = Kind::kPlain;
    return node;
  }
  static Node Boolean(bool value) { return Plain(value ? "true" : "false"); }
  static Node Sequence(Style style = Style::kBlock) {
    Node node;
    node.kind = Kind::kSequence;
    node.style = style;
    return node;
  }
  static Node Mapping(Style style = Style::kBlock) {
    Node node;
    node.kind = Kind::kMapping;
    node.style = style;
    return node;
  }

  Node& Add(Node child) {
    children.push_back(std::move(child));
    return children.back();
  }
  Node& Add(std::string name, Node child) {
    child.key = std::move(name);
    return Add(std::move(child));
  }
};

}  // namespace sallyport::yaml

#endif  // SALLYPORT_CLI_YAML_NODE_H_
