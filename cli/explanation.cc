#include "cli/explanation.h"

#include <algorithm>
#include <array>
#include <vector>

#include "cli/output.h"
#include "common/base/strings.h"

namespace sallyport::cli {
namespace {

using Row = std::array<std::string, 4>;

std::string Says(const v1::ExplainStep& step) {
  switch (step.outcome()) {
    case v1::ExplainStep::DENIES:
      return StrCat("denies", step.reason().empty() ? "" : StrCat(": ", step.reason()));
    case v1::ExplainStep::HANDLER:
      return StrCat("handler ", Describe(step.handler()));
    case v1::ExplainStep::EGRESS:
      return "egress";
    default:
      return "-";
  }
}

const v1::ExplainStep* Deciding(const v1::ExplainResponse& response) {
  for (const v1::ExplainStep& step : response.steps()) {
    if (step.decides()) return &step;
  }
  return nullptr;
}

// Columns as wide as their widest cell.
std::string Table(const std::vector<Row>& rows) {
  std::array<size_t, 4> widths{};
  for (const Row& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string table;
  for (const Row& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i)
      line += StrCat("  ", row[i], std::string(widths[i] - row[i].size(), ' '));
    table += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return table;
}

std::string Revisions(const v1::ExplainResponse& response) {
  const std::string stored = StrCat("policy: revision ", response.stored_revision(), " stored");
  if (response.enforced_revision() == 0) return stored + ", enforced on no host\n";
  const bool behind = response.enforced_revision() < response.stored_revision();
  return StrCat(stored, ", ", response.enforced_revision(), " enforced",
                behind ? "; until its host catches up, an older policy may decide\n" : "\n");
}

}  // namespace

std::string Format(const std::string& request, const v1::ExplainResponse& response) {
  std::string text = StrCat(request, " -> ", response.decision());
  if (response.decision() == "handler") text += StrCat(" ", Describe(response.handler()));
  if (!response.reason().empty()) text += StrCat(": ", response.reason());
  text += "\n";
  if (const v1::ExplainStep* step = Deciding(response); step != nullptr) {
    text += StrCat("decided by step ", step->number(), ", ", step->name(),
                   response.rule().empty() ? "" : StrCat(": ", response.rule()), "\n");
  } else if (!response.rule().empty()) {
    text += StrCat("decided by ", response.rule(), "\n");
  }
  if (response.decision() == "handler" && !response.handler_registered())
    text += "that handler is not registered: the container gets 502 handler_missing\n";
  if (!response.builtin().empty()) text += StrCat("built in: the proxy ", response.builtin(), "\n");
  if (!response.would_deny().empty())
    text += StrCat("only because the class is in monitor mode; it would be denied: ",
                   response.would_deny(), "\n");
  if (request.find(" https://") != std::string::npos)
    text += response.decrypted() ? "decrypted: the request inside is decided\n"
                                 : "not decrypted: only the name is decided on\n";
  text += Revisions(response);
  std::vector<Row> rows = {{"", "step", "says", "rule"}};
  for (const v1::ExplainStep& step : response.steps()) {
    rows.push_back({step.decides() ? ">" : "", StrCat(step.number(), " ", step.name()), Says(step),
                    step.rule()});
  }
  return text + "\n" + Table(rows);
}

}  // namespace sallyport::cli
