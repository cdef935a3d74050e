"""The app with a model that takes its time, so that there is some to wait in: a tenth of a second a
token, which it takes as a long step of a large model would."""

import time


def main():
    from qdemo.ui.dashboard import build, serve
    from qdemo.zoo import decoding, loading

    quick = decoding.generate

    def slow(*arguments):
        for token in quick(*arguments):
            time.sleep(0.1)
            yield token

    loading.generate = slow
    serve(build())


if __name__ == "__main__":
    main()
