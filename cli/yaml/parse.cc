#include "cli/yaml/parse.h"

#include <yaml-cpp/anchor.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <map>
#include <sstream>

#include "absl/container/flat_hash_map.h"
#include "cli/yaml/utf8.h"
#include "common/base/strings.h"

namespace sallyport::yaml {
namespace {

Mark FromYaml(const YAML::Mark& mark) {
  // A null mark counts from -1.
  return mark.is_null() ? Mark{1, 1} : Mark{mark.line + 1, mark.column + 1};
}

class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(Problems* problems) : problems_(problems) {}

  Node TakeRoot() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Node node;
    node.mark = FromYaml(mark);
    Count(mark, 1);
    Put(std::move(node), 1, anchor);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    Node node = tag == "?" ? Node::Plain(value) : Node::Text(value);
    node.mark = FromYaml(mark);
    if (tag != "?" && tag != "!" && tag != "tag:yaml.org,2002:str") RefuseTag(node.mark, tag);
    Count(mark, 1);
    Put(std::move(node), 1, anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    // yaml-cpp refuses names that it does not know; what is left is a node inside itself.
    if (found == anchors_.end()) throw YAML::ParserException(mark, "an alias stands inside itself");
    const auto& [node, size] = found->second;
    Count(mark, size);
    Put(Node(node), size, 0);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(Node::Sequence(), mark, tag, anchor);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(Node::Mapping(), mark, tag, anchor);
  }
  void OnMapEnd() override { Close(); }

 private:
  // A sequence or mapping whose end is not read yet.
  struct Pending {
    Node node;
    YAML::anchor_t anchor;
    size_t size = 1;
    // Of a mapping: the key whose value comes next.
    std::optional<Node> key;
    absl::flat_hash_map<std::string, Mark> seen;
  };

  void Open(Node node, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    Count(mark, 1);
    if (pending_.size() >= kMaxDepth)
      throw YAML::ParserException(mark, StrCat("is nested more than ", kMaxDepth, " deep"));
    node.mark = FromYaml(mark);
    if (tag != "?" && tag != "!" && !tag.empty()) RefuseTag(node.mark, tag);
    pending_.push_back({std::move(node), anchor, 1, std::nullopt, {}});
  }

  void Close() {
    Pending done = std::move(pending_.back());
    pending_.pop_back();
    Put(std::move(done.node), done.size, done.anchor);
  }

  void Put(Node node, size_t size, YAML::anchor_t anchor) {
    if (anchor != 0) {
      Count(YAML::Mark::null_mark(), size);
      anchors_.insert_or_assign(anchor, std::pair(node, size));
    }
    if (pending_.empty()) {
      root_ = std::move(node);
      return;
    }
    Pending& parent = pending_.back();
    parent.size += size;
    if (parent.node.is_sequence()) {
      parent.node.Add(std::move(node));
    } else if (!parent.key.has_value()) {
      parent.key = std::move(node);
    } else {
      AddToMapping(&parent, *std::exchange(parent.key, std::nullopt), std::move(node));
    }
  }

  void AddToMapping(Pending* parent, const Node& key, Node value) {
    if (!key.is_scalar()) {
      problems_->push_back({key.mark, "a key must be text"});
      return;
    }
    const auto [first, is_new] = parent->seen.emplace(key.text, key.mark);
    if (!is_new) {
      problems_->push_back({key.mark, StrCat("the key `", key.text, "` is there already, in line ",
                                             first->second.line, "; write it once")});
      return;
    }
    value.key_mark = key.mark;
    // yaml-cpp gives no place for a value that is not there.
    if (value.kind == Node::Kind::kNull) value.mark = key.mark;
    parent->node.Add(key.text, std::move(value));
  }

  void Count(const YAML::Mark& mark, size_t nodes) {
    count_ += nodes;
    if (count_ > kMaxNodes)
      throw YAML::ParserException(mark, StrCat("the file has more than ", kMaxNodes, " values"));
  }

  void RefuseTag(const Mark& mark, const std::string& tag) {
    problems_->push_back({mark, StrCat("the tag ", tag, " means nothing here; leave it out")});
  }

  Problems* const problems_;
  Node root_;
  std::vector<Pending> pending_;
  std::map<YAML::anchor_t, std::pair<Node, size_t>> anchors_;
  size_t count_ = 0;
};

// For yaml-cpp byte 4 is the end, and bytes that are not UTF-8 pass.
std::optional<Problem> UnfitForYaml(const std::string& text) {
  if (text.size() > kMaxBytes)
    return Problem{{1, 1}, StrCat("the file is larger than ", kMaxBytes >> 20, " MiB")};
  Mark mark{1, 1};
  for (size_t i = 0; i < text.size();) {
    const unsigned char c = static_cast<unsigned char>(text[i]);
    const size_t length = Utf8Length(std::string_view(text).substr(i));
    if (length == 0) return Problem{mark, "a byte here is not UTF-8"};
    if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f)
      return Problem{mark, "there is a control character here; write it as \"\\xNN\" in quotes"};
    i += length;
    mark = c == '\n' ? Mark{mark.line + 1, 1} : Mark{mark.line, mark.column + 1};
  }
  return std::nullopt;
}

}  // namespace

std::optional<Node> Parse(const std::string& text, Problems* problems) {
  if (std::optional<Problem> unfit = UnfitForYaml(text)) {
    problems->push_back(*std::move(unfit));
    return std::nullopt;
  }
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    TreeBuilder builder(problems);
    if (!parser.HandleNextDocument(builder)) return Node();
    Node root = builder.TakeRoot();
    TreeBuilder second(problems);
    if (parser.HandleNextDocument(second)) {
      if (const Node rest = second.TakeRoot(); rest.kind != Node::Kind::kNull) {
        problems->push_back(
            {rest.mark, "a second document begins before this; write a file for each"});
      }
    }
    return root;
  } catch (const YAML::Exception& exception) {
    problems->push_back({FromYaml(exception.mark), exception.msg});
    return std::nullopt;
  }
}

}  // namespace sallyport::yaml
