"""The app with a model that takes its time, so that there is some to wait in: a tenth of a second a
token, or what is asked for, which it takes as a long step of a large model would."""

import sys
import time


def main():
    from qdemo.engine import answering
    from qdemo.ui.dashboard import build, serve

    quick, seconds = answering.generate, float(*sys.argv[1:] or ["0.1"])

    def slow(*arguments):
        for token in quick(*arguments):
            time.sleep(seconds)
            yield token

    answering.generate = slow
    serve(build())


if __name__ == "__main__":
    main()
