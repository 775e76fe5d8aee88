#include "common/metrics/metric_page.h"

#include "absl/strings/str_cat.h"

namespace sallyport {
namespace {

// A label's value is in quotes, a help text is not.
void AppendEscaped(std::string_view text, bool quoted, std::string* out) {
  for (const char c : text) {
    if (c == '\\') {
      *out += "\\\\";
    } else if (c == '\n') {
      *out += "\\n";
    } else if (c == '"' && quoted) {
      *out += "\\\"";
    } else {
      *out += c;
    }
  }
}

// Whole numbers as such: a counter of bytes has more digits than StrCat gives a double.
void AppendNumber(double value, std::string* out) {
  constexpr double kExact = 9007199254740992.0;  // 2^53
  if (value > -kExact && value < kExact &&
      value == static_cast<double>(static_cast<int64_t>(value)))
    absl::StrAppend(out, static_cast<int64_t>(value));
  else
    absl::StrAppend(out, value);
}

}  // namespace

void MetricPage::Begin(std::string_view name, std::string_view help, std::string_view type) {
  if (family_ == name) return;
  family_ = name;
  text_.append("# HELP ").append(name).append(" ");
  AppendEscaped(help, /*quoted=*/false, &text_);
  text_.append("\n# TYPE ").append(name).append(" ").append(type).append("\n");
}

void MetricPage::Sample(std::string_view name, std::string_view suffix, const Labels& labels,
                        double value) {
  text_.append(name).append(suffix);
  std::string_view before = "{";
  for (const auto& [label, text] : labels) {
    text_.append(before).append(label).append("=\"");
    AppendEscaped(text, /*quoted=*/true, &text_);
    text_ += '"';
    before = ",";
  }
  if (!labels.empty()) text_ += '}';
  text_ += ' ';
  AppendNumber(value, &text_);
  text_ += '\n';
}

void MetricPage::Gauge(std::string_view name, std::string_view help, double value,
                       const Labels& labels) {
  Begin(name, help, "gauge");
  Sample(name, "", labels, value);
}

void MetricPage::Counter(std::string_view name, std::string_view help, double value,
                         const Labels& labels) {
  Begin(name, help, "counter");
  Sample(name, "", labels, value);
}

void MetricPage::Histogram(std::string_view name, std::string_view help,
                           const std::vector<Bucket>& buckets, uint64_t count, double sum,
                           Labels labels) {
  Begin(name, help, "histogram");
  labels.emplace_back("le", "");
  std::string& bound = labels.back().second;
  uint64_t so_far = 0;
  for (const Bucket& bucket : buckets) {
    so_far += bucket.count;
    bound.clear();
    AppendNumber(bucket.at_most, &bound);
    Sample(name, "_bucket", labels, static_cast<double>(so_far));
  }
  bound = "+Inf";
  Sample(name, "_bucket", labels, static_cast<double>(count));
  labels.pop_back();
  Sample(name, "_sum", labels, sum);
  Sample(name, "_count", labels, static_cast<double>(count));
}

}  // namespace sallyport
