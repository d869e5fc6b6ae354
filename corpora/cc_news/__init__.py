"""The source `cc_news`: news pages from Common Crawl's archives."""
